-- Runs as its caller, as publish.restore_rights does.
create or replace function publish.restore_defaults() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_grant text;
begin
  alter default privileges for role publish_owner revoke execute on functions from public;
  for v_grant in
    select format('alter default privileges for role publish_owner %s revoke all on %s from public',
                  'in schema ' || quote_ident(n.nspname), t.name)
      from pg_default_acl d
      left join pg_namespace n on n.oid = d.defaclnamespace
      join (values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions'), ('T', 'types'),
                   ('n', 'schemas')) as t (type, name) on t.type = d.defaclobjtype::text
     where d.defaclrole = to_regrole('publish_owner')
       and exists (select from aclexplode(d.defaclacl) a where a.grantee = 0)
  loop
    execute v_grant;
  end loop;
end
$$;
comment on function publish.restore_defaults() is
  'Takes from PUBLIC what later objects of publish_owner would grant it.';
revoke all on function publish.restore_defaults() from public;
