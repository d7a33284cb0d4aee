create or replace function publish.doctor_roles() returns setof publish.finding
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select 'capture', 'error', coalesce('kind ' || a.of_kind || ', ', '') || a.object, a.problem,
         a.hint
    from public.publish_audit(null::text) a
  union all
  select 'roles', 'error', 'role ' || r.rolname,
         format('it may log in and is a member of %s', o.name),
         format('revoke %I from %I', o.name, r.rolname)
    from pg_roles r
   cross join unnest(array['publish_owner', 'publish_projector']) as o (name)
   where r.rolcanlogin and not r.rolsuper and not r.rolcreaterole
     and pg_has_role(r.oid, o.name, 'member')
     and r.oid <> (select d.datdba from pg_database d where d.datname = current_database())
  union all
  select 'void_grant', 'warning', 'role ' || r.rolname,
         format('it was granted %s, and may become %s, for which that is no limit',
                array_to_string(g.kinds, ', '), o.name),
         format('revoke %I from %I', o.name, r.rolname)
    from publish.reader g
    join pg_roles r on r.rolname = g.role and not r.rolsuper
   cross join unnest(array['publish_worker', 'publish_admin', 'publish_server']) as o (name)
   where pg_has_role(r.oid, o.name, 'member')
  union all
  select 'wide_grant', 'warning', 'role ' || r.rolname,
         format('it was granted %s, and as a member of publish_reader it sees names and figures of '
                'all kinds and subscriptions', array_to_string(g.kinds, ', ')),
         format('revoke publish_reader from %I', r.rolname)
    from publish.reader g
    join pg_roles r on r.rolname = g.role and not r.rolsuper
   where g.role <> 'publish_reader' and ('*' <> all (g.kinds) or g.scope is not null)
     and pg_has_role(r.oid, 'publish_reader', 'usage')
  union all
  select 'lost_grant', 'warning', 'role ' || g.role,
         format('it was granted %s, and there is no such role: one that gets this name has the '
                'grant, and one that was renamed lost it',
                array_to_string(g.kinds, ', ')),
         format('select publish_revoke(%L); grant again what was renamed', g.role)
    from publish.reader g
   where to_regrole(quote_ident(g.role)) is null
  union all
  select distinct 'worker_role', 'warning', 'role ' || a.usename,
         'a worker logs in as a superuser', 'Log in as a member of publish_worker and nothing else'
    from pg_stat_activity a join pg_roles r on r.oid = a.usesysid and r.rolsuper
   where a.application_name like 'pgpublish%' and a.datname = current_database()
     and a.pid <> pg_backend_pid()
$$;
comment on function publish.doctor_roles() is
  'For publish_doctor: captures, rights and roles that are not as they should be.';
revoke all on function publish.doctor_roles() from public;
grant execute on function publish.doctor_roles() to publish_worker, publish_admin;
