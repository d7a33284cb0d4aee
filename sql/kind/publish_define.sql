-- Runs as its caller, who owns the view or may grant on it: the view is read as publish_projector,
-- and that right is given here. The row itself is written by publish.define.
create or replace function public.publish_define(
  kind text,
  view regclass default null,
  key text[] default null,
  schema_version int default 1,
  validator regprocedure default null,
  retention interval default null,
  scope text default null,
  show_key boolean default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_schema text;
begin
  -- What cannot be published is refused below.
  if (select c.relkind in ('v', 'm', 'r', 'p', 'f')
        from pg_catalog.pg_class c where c.oid = publish_define.view) then
    for v_schema in
      with recursive type as (
        select a.atttypid as oid, a.attcollation as collation
          from pg_catalog.pg_attribute a
         where a.attrelid = publish_define.view and a.attname = any (coalesce(key, '{id}'))
         union
        select t.typbasetype, y.collation
          from type y join pg_catalog.pg_type t on t.oid = y.oid and t.typtype = 'd'
      )
      select n.nspname
        from pg_catalog.pg_namespace n
       where n.oid = (select c.relnamespace
                        from pg_catalog.pg_class c where c.oid = publish_define.view)
          -- The SQL over the key names its types, their operators and its collations.
          or n.oid in (select t.typnamespace
                         from type y join pg_catalog.pg_type t on t.oid = y.oid)
          or n.oid in (select o.collnamespace
                         from type y join pg_catalog.pg_collation o on o.oid = y.collation)
    loop
      if not pg_catalog.has_schema_privilege('publish_projector', v_schema, 'usage') then
        execute format('grant usage on schema %I to publish_projector', v_schema);
      end if;
    end loop;
    if not pg_catalog.has_table_privilege('publish_projector', publish_define.view, 'select') then
      execute format('grant select on %s to publish_projector', publish_define.view);
    end if;
    if not pg_catalog.has_table_privilege('publish_projector', publish_define.view, 'select') then
      raise exception 'publish_projector may not read the view' using
        errcode = 'PT400',
        detail = format('View %s; the grant by %I had no effect.',
                        publish_define.view, current_user),
        hint = format('As its owner: grant select on %s to publish_projector', publish_define.view);
    end if;
  end if;
  perform publish.define(kind => kind, view => view, key => key, schema_version => schema_version,
                         validator => validator, retention => retention);
  perform publish.define_reading(kind => kind, scope => scope, show_key => show_key);
end
$$;
comment on function public.publish_define(
  text, regclass, text[], int, regprocedure, interval, text, boolean) is
  'Defines what can be published. With view and key (default: the column "id"): a projected kind, '
  'whose payload is the view''s row as JSON. Without view: a payload kind. Defining again with '
  'another view, key or schema_version has the drain walk every key of a projected kind. '
  'validator: a function (jsonb) returns boolean. retention: of a payload kind, rows last '
  'published longer ago are pruned; of a projected kind, only tombstones older than this (default: '
  'the setting tombstone_retention), because what the view shows stays published. '
  'scope: the column of the view, or member of the payload, that says whose a row is, such as '
  'tenant_id: a reader with a scope sees only its rows (publish_grant). show_key: readers see the '
  'source key as "key". Both keep what they are when null; '''' is no scope. '
  'Errors: PT400 bad argument, missing column, or a view that cannot be read in key order.';
revoke all on function public.publish_define(
  text, regclass, text[], int, regprocedure, interval, text, boolean)
  from public;
grant execute on function public.publish_define(
  text, regclass, text[], int, regprocedure, interval, text, boolean)
  to publish_admin;
