-- An identity such as "_RETURN" on publish.quarantine says whose an object is; pg_identify_object
-- gives no schema for rules, triggers and defaults.
create or replace function public.publish_uninstall_notes()
returns table (object text, effect text, blocks text)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  with role as (
    select r.oid, r.rolname
      from pg_roles r
     where r.rolname in ('publish_owner', 'publish_projector', 'publish_writer',
                         'publish_reader', 'publish_worker', 'publish_admin',
                         'publish_server')
  ),
  ours as (
    select 'pg_class'::regclass::oid as classid, c.oid from pg_class c
     where c.relnamespace = 'publish'::regnamespace
    union all
    select 'pg_type'::regclass, t.oid from pg_type t where t.typnamespace = 'publish'::regnamespace
    union all
    select 'pg_proc'::regclass, p.oid from pg_proc p
     where p.pronamespace in ('publish'::regnamespace, 'publish_gate'::regnamespace)
        or p.pronamespace = 'public'::regnamespace and starts_with(p.proname, 'publish_')
           and p.proowner = (select r.oid from role r where r.rolname = 'publish_owner')
  ),
  other as (
    select distinct d.classid, d.objid, false as is_owned
      from pg_depend d join ours o on o.classid = d.refclassid and o.oid = d.refobjid
     where d.deptype in ('n', 'a') and d.classid <> 'pg_trigger'::regclass
    union
    select d.classid, d.objid, true
      from pg_shdepend d join role r on r.oid = d.refobjid
     where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o'
       and d.dbid = (select b.oid from pg_database b where b.datname = current_database())
  )
  select format('table %s', t.tgrelid::regclass),
         format('its triggers go: %s', string_agg(t.tgname, ', ' order by t.tgname)), null
    from pg_trigger t
   where not t.tgisinternal and t.tgparentid = 0
     and t.tgfoid in (select o.oid from ours o where o.classid = 'pg_proc'::regclass)
   group by t.tgrelid
  union all
  select format('kind %s', k.kind), 'its feed goes, and with it each pub_id', null
    from publish.kind k
  union all
  select format('subscription %s', s.name),
         format('%s revs are not delivered yet', s.behind), null
    from public.publish_subscriptions() s
  union all
  select 'jobs', format('%s are not finished', count(*)), null
    from publish.job j
   where j.status not in ('succeeded', 'ignored')
  having count(*) > 0
  union all
  select pg_describe_object(o.classid, o.objid, 0),
         case when o.is_owned then 'it belongs to a role of pgpublish'
              else 'it needs something of pgpublish, and would go too' end,
         case when o.is_owned then 'owner' else 'cascade' end
    from other o
   cross join lateral pg_identify_object(o.classid, o.objid, 0) i
   where i.identity !~ '(^|[ (])publish(_gate)?[.]'
     and i.identity not in ('publish', 'publish_gate')
     and i.type <> 'default acl'
     and not exists (select from ours u where u.classid = o.classid and u.oid = o.objid)
  union all
  select pg_describe_object('pg_proc'::regclass, p.oid, 0),
         'it is named like ours, belongs to ' || p.proowner::regrole || ' and stays', null
    from pg_proc p
   where p.pronamespace = 'public'::regnamespace and starts_with(p.proname, 'publish_')
     and not exists (select from ours u where u.oid = p.oid)
     and not exists (select from other o where o.objid = p.oid)
   order by 3 nulls first, 1
$$;
comment on function public.publish_uninstall_notes() is
  'What `pgpublish uninstall` takes along. blocks: cascade, what of yours needs pgpublish and goes '
  'only if you say so; owner, what of yours belongs to one of its roles and must get another owner '
  'first; null, what is ours.';
revoke all on function public.publish_uninstall_notes() from public;
grant execute on function public.publish_uninstall_notes() to publish_admin;
