create or replace function publish.key_hint(view regclass, missing text) returns text
language sql
stable
as $$
  with shown as materialized (
    select a.attname::text as name, o.source, o.source_name
      from pg_attribute a
     cross join lateral publish.column_origin(key_hint.view, a.attname) o
     where a.attrelid = key_hint.view and a.attnum > 0 and not a.attisdropped
  ),
  candidate as (
    select i.indisprimary, array_agg(s.name order by k.n) as key
      from pg_index i
     cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
      left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      left join lateral (select min(s.name) as name
                           from shown s
                          where s.source = i.indrelid and s.source_name = a.attname) s on true
     where i.indrelid in (select s.source from shown s) and i.indisunique and i.indpred is null
       and k.n <= i.indnkeyatts
     group by i.indexrelid, i.indisprimary
    having bool_and(s.name is not null)
  )
  select publish.near(key_hint.missing, array(select s.name from shown s))
         || coalesce(
              'Of what the view shows, unique in its table is: '
              || (select string_agg(format('key => %L', c.key), ' or ' order by not c.indisprimary,
                                                                         c.key)
                    from candidate c)
              || '.',
              format('Name the columns that no two rows share, each once. Find out: select'
                     ' count(*) as rows, count(distinct (%s)) as keys from %s',
                     (select string_agg(quote_ident(f.name), ', ')
                        from (select s.name from shown s limit 2) f),
                     key_hint.view))
$$;
comment on function publish.key_hint(regclass, text) is
  'A hint at the key of a view, for one that named a column that is missing: names like it, and '
  'the columns that unique indexes of the view''s tables have.';
revoke all on function publish.key_hint(regclass, text) from public;
