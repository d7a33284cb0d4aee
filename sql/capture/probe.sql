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
  v_hint text := case
    when probe.parts = 1 then 'Pass one column, or one expression over the row, of a simple type.'
    else format('Pass %s columns or expressions of simple types, in the order of the kind''s key.',
                probe.parts) end;
begin
  begin
    perform set_config('search_path', probe.path, true);
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
        hint = v_hint;
  end;
  v_class := to_regclass(v_name);
  select array_agg(a.atttypid::regtype order by a.attnum),
         bool_or(publish.text_varies(a.atttypid))
    into probe.types, probe.pinned
    from pg_attribute a
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
  probe.pinned := probe.pinned or not probe.plain; -- as that of to_char(at, 'YYYY-MM')
  if exists (select from pg_rewrite r
              where r.ev_class = v_class and cardinality(probe.reads) = 1
                and r.ev_action::text
                    ~ ':varattno (0|-)|:hasAggs true|:hasWindowFuncs true') then
    raise exception 'a key is made of columns of one row' using
      errcode = 'PT400',
      detail = format('%s uses the whole row, a system column, an aggregate or a window',
                      probe.expression),
      hint = 'Name the columns that the key is made of.';
  end if;
  execute format('drop view %s', v_name);
  if cardinality(probe.types) <> probe.parts
     or exists (select from pg_type t
                 where t.oid = any (probe.types) and (t.typcategory = 'A' or t.typtype = 'c')) then
    raise exception 'the key does not fit that of the kind' using
      errcode = 'PT400',
      detail = format('%s has the types %s', probe.expression, probe.types),
      hint = v_hint;
  end if;
end
$$;
comment on function publish.probe(text, text, int, text) is
  'What a query is: its columns'' types, the relations and columns it reads, whether it shows '
  'columns alone (plain), and whether their text depends on settings (pinned). '
  'Errors: PT400 not valid SQL in this search path, not "parts" columns of simple types, or made '
  'of more than named columns of one row.';
revoke all on function publish.probe(text, text, int, text) from public;
