-- SQL functions with a parsed body: PostgreSQL tracks the columns they read, and inlines them, so
-- that a key costs what its expression costs.
create or replace function publish.write_functions(
  capture_id int,
  source regclass,
  types regtype[],
  columns name[],
  path text
) returns void
language plpgsql
as $$
declare
  v_capture publish.capture;
  v_name text := format('publish.capture_%s', write_functions.capture_id);
  v_row text := publish.qualified_name(write_functions.source);
  v_relname text := (select c.relname from pg_class c where c.oid = write_functions.source);
  v_of text := (select string_agg(format('($1).%1$I as %1$I', c.name), ', ')
                  from unnest(write_functions.columns) as c (name));
  v_parts text := (select string_agg(format('c%s', n), ', ')
                     from generate_series(1, cardinality(write_functions.types)) as n);
  v_watched text;
  v_keys int;
  v_texts text;
  v_names text;
begin
  select c.* into v_capture from publish.capture c where c.capture_id = write_functions.capture_id;
  perform publish.drop_functions(write_functions.capture_id, '_lookup');
  perform set_config('search_path', write_functions.path, true);
  execute format(
    'create or replace function %s_key(%s) returns setof text language sql stable begin atomic'
    ' select %s from (select %s from (select %s) as %I) as x (%s); end',
    v_name, v_row, publish.key_sql(write_functions.types), v_capture.key, coalesce(v_of, '1'),
    v_relname, v_parts);
  if v_capture.columns is not null then
    execute format(
      'create or replace function %s_watched(%s) returns text language sql stable begin atomic'
      ' select row(%s)::pg_catalog.text; end', v_name, v_row,
      (select string_agg(format('($1).%I', a.attname), ', ' order by a.attnum)
         from pg_attribute a
        where a.attrelid = write_functions.source
          and (a.attname = any (v_capture.columns)
               or exists (select from pg_index i
                           where i.indrelid = a.attrelid and i.indisprimary
                             and a.attnum = any (i.indkey)))));
    v_watched := format(' or %s_watched(null::%s) is null', v_name, v_row);
  end if;
  execute format(
    'create or replace function %s_guard() returns boolean language sql stable begin atomic'
    ' select exists (select from %1$s_key(null::%s))%s; end', v_name, v_row, v_watched);
  if v_capture.columns is null then
    perform publish.drop_functions(write_functions.capture_id, '_watched');
  end if;
  if v_capture.lookup is not null then
    v_keys := (select cardinality(k.key) from publish.kind k where k.kind = v_capture.kind);
    v_names := (select string_agg(format('c%s', n), ', ') from generate_series(1, v_keys) as n);
    v_texts := (select string_agg(format('case when x.c%1$s is not null'
                                         ' then pg_catalog.format(''%%s'', x.c%1$s) end', n), ', ')
                  from generate_series(1, v_keys) as n);
    begin
      execute format(
        'create or replace function %s_lookup(%s[]) returns setof text language sql stable'
        ' begin atomic select publish.row_key(array[%s]) from (%s) as x (%s); end',
        v_name, write_functions.types[1], v_texts, v_capture.lookup, v_names);
    exception
      when operator_intervention or transaction_rollback or insufficient_resources
           or lock_not_available then
        raise;
      when others then
        raise exception 'the lookup is not valid SQL here' using
          errcode = 'PT400',
          detail = format('%s: %s', v_capture.lookup, sqlerrm),
          hint = case
            when sqlstate = '42501'
            then 'Grant publish_owner the right: grant usage on schema … to publish_owner'
            else format('Write a query from $1, of type %s[], to the key of kind %s.',
                        write_functions.types[1], v_capture.kind) end;
    end;
  end if;
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  perform publish.write_trigger_function(v_capture);
end
$$;
comment on function publish.write_functions(int, regclass, regtype[], name[], text) is
  'Makes the functions of a capture: _key and _lookup, which are its SQL; _watched, the text of '
  'its columns and of the primary key, so that rows which swap their values are seen to change; '
  '_guard, which is dropped with any of them and takes the triggers along; and the trigger '
  'function. types and columns: of the key, as publish.probe returns them. '
  'Errors: PT400 the lookup is not valid.';
revoke all on function publish.write_functions(int, regclass, regtype[], name[], text)
  from public;
