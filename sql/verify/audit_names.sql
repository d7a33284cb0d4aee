-- A call that does not name the type of each argument may find a function of another owner that
-- fits better. PostgreSQL 14 lets everybody create in schema public.
create or replace function publish.audit_names()
returns table (object text, problem text, hint text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select 'schema public', 'everybody may create functions next to those of pgpublish in it',
         'As its owner: revoke create on schema public from public'
   where has_schema_privilege('public', 'public', 'create')
  union all
  select format('%s %s', case p.prokind when 'a' then 'aggregate' when 'p' then 'procedure'
                                        else 'function' end, p.oid::regprocedure),
         format('it has a name of pgpublish, and belongs to %s', pg_get_userbyid(p.proowner)),
         format('Drop it: drop routine %s', p.oid::regprocedure)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where pg_get_userbyid(p.proowner) <> 'publish_owner'
     and (n.nspname = 'public' and starts_with(p.proname, 'publish_')
          or p.proname in (select o.proname
                             from pg_proc o
                            where o.pronamespace = 'public'::regnamespace
                              and starts_with(o.proname, 'publish_')
                              and pg_get_userbyid(o.proowner) = 'publish_owner'))
$$;
comment on function publish.audit_names() is
  'Functions of others that a call meant for pgpublish may find, and who may make them.';
revoke all on function publish.audit_names() from public;
