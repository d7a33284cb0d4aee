-- Rights of other roles are their administrator's, and none of ours to compare.
create or replace function publish.rights()
returns table (object text, owner name, grants text[], definer boolean, settings text[])
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with found as (
    select format('schema %I', n.nspname) as object, n.nspowner as owner,
           coalesce(n.nspacl, acldefault('n', n.nspowner)) as acl,
           null::boolean as definer, null::text[] as settings
      from pg_namespace n
     where n.nspname in ('publish', 'publish_gate')
    union all
    select format('%s %s', case c.relkind when 'S' then 'sequence' else 'table' end,
                  c.oid::regclass),
           c.relowner,
           coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char",
                                         c.relowner))
           || array(select i.item from pg_attribute a cross join lateral unnest(a.attacl) i (item)
                     where a.attrelid = c.oid and a.attnum > 0), null, null
      from pg_class c
     where c.relnamespace = to_regnamespace('publish') and c.relkind in ('r', 'p', 'v', 'S')
       and c.relname !~ '^described_'
    union all
    select format('type %s', t.oid::regtype), t.typowner,
           coalesce(t.typacl, acldefault('T', t.typowner)), null, null
      from pg_type t join pg_class c on c.oid = t.typrelid and c.relkind = 'c'
     where t.typnamespace = to_regnamespace('publish')
    union all
    select format('%s %s', case p.prokind when 'p' then 'procedure' else 'function' end,
                  p.oid::regprocedure), p.proowner,
           coalesce(p.proacl, acldefault('f', p.proowner)), p.prosecdef,
           coalesce(p.proconfig, '{}')
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('publish', 'publish_gate')
        or n.nspname = 'public' and starts_with(p.proname, 'publish_')
  )
  select f.object, pg_get_userbyid(f.owner),
         array(select distinct format('%s:%s', coalesce(r.rolname, 'public'), a.privilege_type)
                 from aclexplode(f.acl) a
                 left join pg_roles r on r.oid = a.grantee
                where a.grantee <> f.owner
                  and (a.grantee = 0
                       or r.rolname in ('publish_owner', 'publish_projector', 'publish_writer',
                                        'publish_reader', 'publish_worker', 'publish_admin',
                                        'publish_server'))
                order by 1),
         f.definer, f.settings
    from found f
$$;
comment on function publish.rights() is
  'Who owns each of our objects and what PUBLIC and our roles may do with it, and how functions '
  'run: as publish.object has it.';
revoke all on function publish.rights() from public;
grant execute on function publish.rights()
  to publish_writer, publish_reader, publish_worker, publish_admin, publish_server;
