-- format() calls a type's output function. A cast to text may be a function of the type's owner,
-- and would run with the rights of publish_owner.
create or replace function publish.key_sql(types regtype[]) returns text
language sql
stable
as $$
  select case when count(*) = 1 then min(part.text)
              else format('publish.key_text(array[%s])', string_agg(part.text, ', ' order by t.n))
         end
    from unnest(key_sql.types) with ordinality as t (type, n)
    join pg_type y on y.oid = t.type
   cross join lateral (
     select case when y.typnamespace = 'pg_catalog'::regnamespace
                 then format('x.c%s::pg_catalog.text', t.n)
                 else format('case when x.c%1$s is not null'
                             ' then pg_catalog.format(''%%s'', x.c%1$s) end', t.n) end
   ) as part (text)
$$;
comment on function publish.key_sql(regtype[]) is
  'SQL that makes a source_id of x.c1, x.c2, … of these types; null when one of them is.';
revoke all on function publish.key_sql(regtype[]) from public;
