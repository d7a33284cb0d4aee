-- "= any (array)" is pushed below joins and aggregates of the view, to its index; the columns of a
-- composite key are joined. "dirty" spells a key as its type does, "shown" as the view does.
create or replace function publish.many_sql(kind publish.kind) returns text
language sql
stable
as $$
  with key as (
    select count(*) = 1 as is_single, min(k.type) as type,
           string_agg(format('%s::%s::text', p.part, k.type), ', ' order by k.n) as texts,
           string_agg(format('%s::%s%s as k%s', p.part, k.type, k.collation, k.n), ', '
                      order by k.n) as named,
           string_agg(format('d.k%s', k.n), ', ' order by k.n) as names,
           string_agg(k.ref, ', ' order by k.n) as refs,
           string_agg(format('%s %s d.k%s', k.ref, k.equals, k.n), ' and ' order by k.n) as joined,
           min(format('%s %s', k.ref, k.equals)) as compared,
           publish.source_id_sql(many_sql.kind.kind) as source_id,
           many_sql.kind.view as view
      from publish.key_columns(many_sql.kind.kind) k
     cross join lateral (select format('u.part[%s]', k.n) as part) p
  ),
  many as (
    select k.*,
      case when k.is_single then format(
        'select m.source_id::%s::text as source_id, m as mark, m.seq from unnest(marks) m', k.type)
      else format(
        'select publish.key_text(array[%s]) as source_id, %s, u.mark, u.seq'
        ' from (select publish.key_parts(m.source_id, %L) as part, m as mark, m.seq'
        '         from unnest(marks) m) u', k.texts, k.named, many_sql.kind.key) end as dirty,
      case when k.is_single then format(
        'select %s as source_id, to_jsonb(v.*) as payload, count(*) over w as copies,'
        ' row_number() over w as copy from %s v where %s any (given.v_keys)'
        ' window w as (partition by %s)', k.source_id, k.view, k.compared, k.refs)
      else format(
        'select s.*, count(*) over w as copies, row_number() over w as copy'
        '  from (select %s as source_id, to_jsonb(v.*) as payload'
        '          from (select distinct %s from dirty d) d'
        '         cross join lateral (select v.* from %s v where %s) v) s'
        ' window w as (partition by s.source_id)', k.source_id, k.names, k.view, k.joined)
      end as shown
      from key k
  )
  select publish.entry_sql(many_sql.kind, format(
           'with dirty as (select distinct on (d.source_id collate "C") d.* from (%s) d'
           '                order by d.source_id collate "C", d.seq desc),'
           ' shown as (%s)'
           ' select d.mark, coalesce(s.source_id, d.source_id) as source_id, s.payload,'
           '        s.source_id is null as deleted, s.copies'
           '   from dirty d full join shown s on s.source_id = d.source_id'
           '  where s.copy is null or s.copy = 1', m.dirty, m.shown))
    from many m
$$;
comment on function publish.many_sql(publish.kind) is
  'SQL of the entries of any number of marks of a kind; given.v_keys: those of a key of one '
  'column. Errors: PT404 when the view or a key column is missing.';
revoke all on function publish.many_sql(publish.kind) from public;
