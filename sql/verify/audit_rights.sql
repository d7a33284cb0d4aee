create or replace function publish.audit_rights()
returns table (object text, problem text, hint text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select min(w.object) || case when count(*) > 1 then format(' and %s more', count(*) - 1)
                               else '' end,
         w.problem, 'Run: pgpublish migrate'
    from publish.wrong_rights() w
   group by w.problem
  union all
  select s.object, s.problem, s.hint from publish.audit_storage() s where s.fix is not null
  union all
  select format('role %s', r.name), 'the role does not exist', 'Run: pgpublish migrate'
    from unnest(array['publish_owner', 'publish_projector', 'publish_writer', 'publish_reader',
                      'publish_worker', 'publish_admin', 'publish_server']) as r (name)
   where not exists (select from pg_roles p where p.rolname = r.name)
  union all
  select 'role publish_owner', 'functions that it makes would be for PUBLIC',
         'Run: pgpublish migrate'
   where not exists (select from pg_default_acl d
                      where d.defaclrole = to_regrole('publish_owner') and d.defaclnamespace = 0
                        and d.defaclobjtype = 'f')
  union all
  select 'role publish_owner',
         format('what it makes%s would be for PUBLIC', ' in schema ' || quote_ident(n.nspname)),
         'Run: pgpublish migrate'
    from pg_default_acl d
    left join pg_namespace n on n.oid = d.defaclnamespace
   where d.defaclrole = to_regrole('publish_owner')
     and exists (select from aclexplode(d.defaclacl) a where a.grantee = 0)
  union all
  select 'role publish_owner', 'it is no member of publish_projector', 'Run: pgpublish migrate'
   where to_regrole('publish_owner') is not null and to_regrole('publish_projector') is not null
     and not pg_has_role(to_regrole('publish_owner'), to_regrole('publish_projector'), 'usage')
$$;
comment on function publish.audit_rights() is
  'What differs in owners, rights, roles and tables from what the files say, as after a restore '
  'without owners or privileges: an object and how many more of the same problem.';
revoke all on function publish.audit_rights() from public;
grant execute on function publish.audit_rights()
  to publish_writer, publish_reader, publish_worker, publish_admin, publish_server;
