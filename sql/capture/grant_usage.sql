create or replace function publish.grant_usage(schema text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role name;
begin
  foreach v_role in array array['publish_owner', 'publish_projector'] loop
    if not has_schema_privilege(v_role, grant_usage.schema, 'usage') then
      execute format('grant usage on schema %I to %I', grant_usage.schema, v_role);
    end if;
  end loop;
end
$$;
comment on function publish.grant_usage(text) is
  'Lets publish_owner read SQL that names what is in a schema, and publish_projector run it; as '
  'the caller, who owns the schema or may grant on it.';
revoke all on function publish.grant_usage(text) from public;
grant execute on function publish.grant_usage(text) to publish_admin;
