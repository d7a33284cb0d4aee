-- As the values are stored: 1 and 1.0 are equal, and their text differs. Where equal values are
-- always stored alike, the type's own operator is used, which is four times as fast.
create or replace function publish.alike_sql(source regclass, columns name[]) returns text
language sql
stable
as $$
  with alike as (
    select a.attnum, quote_ident(a.attname) as name,
           a.atttypid = any ('{bool,int2,int4,int8,oid,uuid,date,time,timestamp,timestamptz}'
                             ::regtype[])
           or a.atttypid = any ('{text,varchar}'::regtype[]) and l.collisdeterministic as is_exact
      from pg_attribute a
      left join pg_collation l on l.oid = a.attcollation
     where a.attrelid = alike_sql.source and a.attname = any (alike_sql.columns)
       and a.attnum > 0 and not a.attisdropped
  )
  select concat_ws(' and ',
    string_agg(format('($1).%1$s is not distinct from ($2).%1$s', a.name), ' and '
               order by a.attnum) filter (where a.is_exact),
    'pg_catalog.record_image_eq(row('
    || string_agg('($1).' || a.name, ', ' order by a.attnum) filter (where not a.is_exact)
    || '), row('
    || string_agg('($2).' || a.name, ', ' order by a.attnum) filter (where not a.is_exact)
    || '))')
    from alike a
$$;
comment on function publish.alike_sql(regclass, name[]) is
  'Condition, as SQL, that the rows $1 and $2 of a table are alike in these columns.';
revoke all on function publish.alike_sql(regclass, name[]) from public;
