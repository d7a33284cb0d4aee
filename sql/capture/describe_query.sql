-- A view made for a moment asks PostgreSQL what a query is, without planning it: planning calls
-- immutable functions.
create or replace function publish.describe_query(
  query text,
  parts int,
  path text,
  out types regtype[],
  out reads regclass[],
  out columns name[],
  out plain boolean,
  out whole boolean
)
language plpgsql
as $$
declare
  v_name text := format('described_%s', pg_backend_pid());
  v_class oid;
begin
  perform publish.make_in(
    path => describe_query.path, name => v_name::name,
    statement => format(
      'create view publish_gate.%s (%s) as %s', v_name,
      (select string_agg('c' || n, ', ') from generate_series(1, describe_query.parts) as n),
      describe_query.query));
  v_class := to_regclass('publish_gate.' || v_name);
  select array_agg(a.atttypid::regtype order by a.attnum)
    into describe_query.types
    from pg_attribute a
   where a.attrelid = v_class and a.attnum > 0;
  select array_agg(distinct d.refobjid::regclass),
         array_agg(distinct a.attname) filter (where a.attname is not null)
    into describe_query.reads, describe_query.columns
    from pg_rewrite r
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                    and d.refclassid = 'pg_class'::regclass and d.refobjid <> v_class
    left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                            and a.attnum > 0
   where r.ev_class = v_class;
  describe_query.plain := (
    select bool_and(o.source is not null)
      from pg_attribute c
     cross join lateral publish.column_origin(v_class, c.attname) o
     where c.attrelid = v_class and c.attnum > 0);
  describe_query.whole := exists (
    select from pg_rewrite r
     where r.ev_class = v_class
       and r.ev_action::text ~ ':varattno (0|-)|:hasAggs true|:hasWindowFuncs true');
  execute format('drop view publish_gate.%s', v_name);
end
$$;
comment on function publish.describe_query(text, int, text) is
  'What a query of "parts" columns is: their types, the relations and columns it reads, whether it '
  'shows columns alone (plain), and whether it uses a whole row, a system column, an aggregate or '
  'a window (whole). path: the search_path in which it is read.';
revoke all on function publish.describe_query(text, int, text) from public;
