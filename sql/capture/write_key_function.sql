-- SQL functions with a parsed body: PostgreSQL tracks the columns they read, and inlines them, so
-- that a key costs what its expression costs. Before PostgreSQL 18 one with WHERE would be a loop.
-- Its text is compared as publish.published does: by a collation in which 'A' is 'a', a key that is
-- respelled would be the key it was.
create or replace function publish.write_key_function(
  capture_id int,
  types regtype[],
  row_sql text,
  path text
) returns void
language plpgsql
as $$
declare
  v_capture publish.capture;
  v_source regclass := publish.captured_table(write_key_function.capture_id);
  v_parts text := (select string_agg(format('c%s', n), ', ')
                     from generate_series(1, cardinality(write_key_function.types)) as n);
  v_name text := format('publish_gate.capture_%s_key', write_key_function.capture_id);
begin
  select c.* into v_capture
    from publish.capture c
   where c.capture_id = write_key_function.capture_id;
  if to_regproc(v_name) is not null then
    execute format('alter function %s owner to publish_projector', v_name);
  end if;
  perform publish.make_in(path => write_key_function.path, name => split_part(v_name, '.', 2)::name,
                          statement => format(
    'create or replace function %s(%s) returns setof text language sql stable begin atomic'
    ' select (%s) collate pg_catalog."default"'
    '   from (select %s as key from (select %s from (%s) as %I) as x (%s)) as y; end',
    v_name, publish.qualified_name(v_source),
    case when cardinality(write_key_function.types) > 1
         then 'case when pg_catalog.octet_length(y.key) operator(pg_catalog.<=) 2000'
              ' then y.key end'
         when exists (select from pg_catalog.pg_type t
                       where t.oid = write_key_function.types[1] and t.typlen > 0
                         and t.typnamespace = 'pg_catalog'::regnamespace)
         then 'y.key'
         else 'case when pg_catalog.octet_length(y.key) operator(pg_catalog.>=) 1'
              ' and pg_catalog.octet_length(y.key) operator(pg_catalog.<=) 2000 then y.key end'
         end,
    publish.key_sql(write_key_function.types), v_capture.key, write_key_function.row_sql,
    (select c.relname from pg_catalog.pg_class c where c.oid = v_source), v_parts));
  perform publish.own(v_name);
  execute format('comment on function %s is %L', v_name,
                 format('The keys of kind %s that a row of %s marks.', v_capture.kind, v_source));
end
$$;
comment on function publish.write_key_function(int, regtype[], text, text) is
  'Makes publish_gate.capture_<id>_key: the keys of a row; null for one of no or more than 2,000 '
  'bytes. types and row_sql: as publish.describe_key returns them. path: the search_path in which '
  'its SQL is read.';
revoke all on function publish.write_key_function(int, regtype[], text, text) from public;
