create or replace function publish.probe(
  expression text,
  query text,
  parts int,
  path text,
  out types regtype[],
  out reads regclass[],
  out columns name[],
  out plain boolean,
  out pinned boolean
)
language plpgsql
as $$
declare
  v_name text := format('publish.probe_%s', pg_backend_pid());
  v_class oid;
begin
  begin
    perform set_config('search_path', 'pg_catalog, ' || probe.path, true);
    execute format('create view %s (%s) as %s', v_name,
                   (select string_agg('c' || n, ', ') from generate_series(1, probe.parts) as n),
                   probe.query);
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
  exception
    when operator_intervention or transaction_rollback or insufficient_resources
         or lock_not_available then
      raise;
    when others then
      raise exception 'the key is not valid SQL here' using
        errcode = 'PT400',
        detail = format('%s: %s', probe.expression, sqlerrm),
        hint = format('Pass %s columns, one for each column of the kind''s key.', probe.parts);
  end;
  v_class := to_regclass(v_name);
  select array_agg(a.atttypid::regtype order by a.attnum),
         bool_or(t.typcategory in ('D', 'T') or t.typname in ('float4', 'float8', 'bytea')
                 or t.typnamespace <> 'pg_catalog'::regnamespace)
    into probe.types, probe.pinned
    from pg_attribute a join pg_type t on t.oid = a.atttypid
   where a.attrelid = v_class and a.attnum > 0;
  select array_agg(distinct d.refobjid::regclass),
         array_agg(distinct a.attname) filter (where a.attname is not null)
    into probe.reads, probe.columns
    from pg_rewrite r
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                    and d.refclassid = 'pg_class'::regclass and d.refobjid <> v_class
    left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                            and a.attnum > 0
   where r.ev_class = v_class;
  probe.plain := (
    select bool_and(o.source is not null)
      from pg_attribute c
     cross join lateral publish.column_origin(v_class, c.attname) o
     where c.attrelid = v_class and c.attnum > 0);
  execute format('drop view %s', v_name);
  if cardinality(probe.types) <> probe.parts
     or exists (select from pg_type t
                 where t.oid = any (probe.types) and (t.typcategory = 'A' or t.typtype = 'c')) then
    raise exception 'the key does not fit that of the kind' using
      errcode = 'PT400',
      detail = format('%s has the types %s', probe.expression, probe.types),
      hint = format('Pass %s of a simple type, one for each column of the kind''s key.',
                    probe.parts);
  end if;
end
$$;
comment on function publish.probe(text, text, int, text) is
  'What a query is: its columns'' types, the relations and columns it reads, whether it shows '
  'columns alone (plain), and whether their text depends on settings (pinned). '
  'Errors: PT400 not valid SQL in this search path, or not "parts" columns of simple types.';
revoke all on function publish.probe(text, text, int, text) from public;
