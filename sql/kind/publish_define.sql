-- Runs as its caller, who owns the view or may grant on it: the drain reads the view as
-- publish_owner, and that right is given here. The row itself is written by publish.define.
create or replace function public.publish_define(
  kind text,
  view regclass default null,
  key text[] default null,
  schema_version int default 1,
  validator regprocedure default null,
  retention interval default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_schema text;
begin
  if publish_define.view is not null then
    for v_schema in
      select n.nspname
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where c.oid = publish_define.view
       union
      select n.nspname -- of a key's type, which the drain names
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_type t on t.oid = a.atttypid
        join pg_catalog.pg_namespace n on n.oid = t.typnamespace
       where a.attrelid = publish_define.view and a.attname = any (coalesce(key, '{id}'))
    loop
      if not pg_catalog.has_schema_privilege('publish_owner', v_schema, 'usage') then
        execute format('grant usage on schema %I to publish_owner', v_schema);
      end if;
    end loop;
    if not pg_catalog.has_table_privilege('publish_owner', publish_define.view, 'select') then
      execute format('grant select on %s to publish_owner', publish_define.view);
    end if;
    if not pg_catalog.has_table_privilege('publish_owner', publish_define.view, 'select') then
      raise exception 'publish_owner may not read the view' using
        errcode = 'PT400',
        detail = format('View %s; the grant by %I had no effect.',
                        publish_define.view, current_user),
        hint = format('As its owner: grant select on %s to publish_owner', publish_define.view);
    end if;
  end if;
  perform publish.define(kind, view, key, schema_version, validator, retention);
end
$$;
comment on function public.publish_define(text, regclass, text[], int, regprocedure, interval) is
  'Defines what can be published. With view and key (default: the column "id"): a projected kind, '
  'whose payload is the view''s row as JSON. Without view: a payload kind. Defining again with '
  'another view, key or schema_version has the drain walk every key of a projected kind. '
  'validator: a function (jsonb) returns boolean. retention: rows last published longer ago are '
  'pruned. '
  'Errors: PT400 bad argument, missing column or unreadable view.';
revoke all on function public.publish_define(text, regclass, text[], int, regprocedure, interval)
  from public;
grant execute on function public.publish_define(text, regclass, text[], int, regprocedure, interval)
  to publish_admin;
