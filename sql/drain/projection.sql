create or replace function publish.projection(kind text) returns text
language plpgsql
stable
as $$
declare
  v_key record;
  v_validator text := (select k.validator from publish.kind k where k.kind = projection.kind);
  v_dirty text;
  v_shown text;
begin
  select c.* into v_key from publish.key_columns(projection.kind) c;
  if cardinality(v_key.refs) = 1 then
    -- "= any (array)" is pushed below joins and aggregates of the view, to its index.
    v_dirty := format(
      'select distinct on (u.k::text) u.k::text as source_id, u.seq, u.headers'
      '  from unnest($1::%s[], $2, $3) as u (k, seq, headers)'
      ' order by u.k::text, u.seq desc', v_key.types[1]);
    v_shown := format(
      'select %s as source_id, to_jsonb(v.*) as payload, count(*) over w as copies,'
      ' row_number() over w as copy'
      '  from %s v where %s = any ($1::%s[]) window w as (partition by %3$s)',
      v_key.source_id, v_key.view, v_key.refs[1], v_key.types[1]);
  else
    select format(
             'select distinct on (q.source_id) q.* from ('
             '  select publish.key_text(array[%s]) as source_id, %s, u.seq, u.headers'
             '    from (select publish.key_parts(u.source_id, %L) as part, u.seq, u.headers'
             '            from unnest($1, $2, $3) as u (source_id, seq, headers)) u) q'
             ' order by q.source_id, q.seq desc',
             string_agg(format('u.part[%s]::%s::text', t.n, t.type), ', ' order by t.n),
             string_agg(format('u.part[%s]::%s as k%1$s', t.n, t.type), ', ' order by t.n),
             v_key.columns)
      into v_dirty
      from unnest(v_key.types) with ordinality as t (type, n);
    select format(
             'select s.*, count(*) over w as copies, row_number() over w as copy from ('
             '  select %s as source_id, to_jsonb(v.*) as payload'
             '    from (select distinct %s from dirty d) d'
             '    cross join lateral (select v.* from %s v where %s) v) s'
             ' window w as (partition by s.source_id)',
             v_key.source_id, string_agg(format('d.k%s', r.n), ', ' order by r.n), v_key.view,
             string_agg(format('%s = d.k%s', r.ref, r.n), ' and ' order by r.n))
      into v_shown
      from unnest(v_key.refs) with ordinality as r (ref, n);
  end if;
  return format(
    'with dirty as (%s), shown as (%s)'
    ' select coalesce(s.source_id, d.source_id), coalesce(d.seq, $4), s.payload,'
    '        s.source_id is null, d.headers,'
    '        case when s.copies > 1 then ''PT422'' %s end,'
    '        case when s.copies > 1'
    '             then format(''the view shows %%s rows for this key'', s.copies) %s end'
    '   from dirty d full join shown s on s.source_id = d.source_id'
    '  where s.copy is null or s.copy = 1',
    v_dirty, v_shown,
    case when v_validator is not null
         then format('when s.source_id is not null and not coalesce(%s(s.payload), true)'
                     ' then ''PT422''', v_validator)
         else '' end,
    case when v_validator is not null
         then format('when s.source_id is not null then ''the validator refused the payload''')
         else '' end);
end
$$;
comment on function publish.projection(text) is
  'The query that projects a batch of keys: $1 source_ids text[], $2 seqs bigint[], $3 headers '
  'jsonb[], $4 seq of keys that only the view spells this way.';
revoke all on function publish.projection(text) from public;
