create or replace function publish.some_value(source regclass, name name, fresh boolean)
returns text
language plpgsql
as $$
declare
  v_value text;
  v_column pg_catalog.pg_attribute;
begin
  select a.* into v_column
    from pg_catalog.pg_attribute a
   where a.attrelid = some_value.source and a.attname = some_value.name;
  if some_value.fresh and v_column.atttypid = any (array['int2', 'int4', 'int8']::regtype[]) then
    execute format('select (max(t.%I) + 1)::text from %s t', name, source) into v_value;
    return v_value;
  elsif some_value.fresh and v_column.atttypid = 'uuid'::regtype then
    return gen_random_uuid();
  elsif some_value.fresh
        and v_column.atttypid = any (array['text', 'varchar', 'bpchar']::regtype[]) then
    return left(md5(random()::text), case when v_column.atttypmod > 4
                                          then v_column.atttypmod - 4 else 12 end);
  elsif not v_column.attnotnull and random() < 0.15 then
    return null;
  end if;
  execute format('select t.%I::text from (select t.%1$I from %s t limit 2000) t'
                 ' order by random() limit 1', name, source)
    into v_value;
  return v_value;
end
$$;
comment on function publish.some_value(regclass, name, boolean) is
  'A value for a column of a table: of another of its rows, sometimes null; fresh: one that no row '
  'has, where the type allows.';
revoke all on function publish.some_value(regclass, name, boolean) from public;
grant execute on function publish.some_value(regclass, name, boolean) to publish_admin;
