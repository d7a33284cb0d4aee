-- Roles are the cluster's, and their administrator's: migrate restores none of this.
create or replace function publish.audit_roles()
returns table (object text, problem text, hint text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with ours as (
    select r.*
      from pg_roles r
     where r.rolname in ('publish_owner', 'publish_projector', 'publish_writer', 'publish_reader',
                         'publish_worker', 'publish_admin', 'publish_server')
  )
  select format('role %s', o.rolname), p.problem, format('alter role %I %s', o.rolname, p.mend)
    from ours o
   cross join lateral (values
     (case when o.rolsuper then 'it is a superuser' end, 'nosuperuser'),
     (case when o.rolcanlogin then 'it may log in' end, 'nologin'),
     (case when o.rolcreaterole then 'it may create roles' end, 'nocreaterole'),
     (case when o.rolcreatedb then 'it may create databases' end, 'nocreatedb'),
     (case when o.rolreplication then 'it may replicate' end, 'noreplication'),
     (case when o.rolbypassrls then 'row level security does not hold for it' end, 'nobypassrls')
   ) as p (problem, mend)
   where p.problem is not null
  union all
  select format('role %s', o.rolname), format('it is a member of %s', g.rolname),
         format('revoke %I from %I', g.rolname, o.rolname)
    from ours o
    join pg_auth_members m on m.member = o.oid
    join pg_roles g on g.oid = m.roleid
   where (o.rolname, g.rolname) <> ('publish_owner', 'publish_projector')
$$;
comment on function publish.audit_roles() is
  'Roles of ours that may more than they are granted: attributes, and memberships in others.';
revoke all on function publish.audit_roles() from public;
