create or replace function publish.doctor_locks(waited boolean) returns setof publish.finding
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select 'locked', 'error', 'table ' || l.relation::regclass,
         format('%s has locked it: %s', l.who, string_agg(l.mode, ', ' order by l.mode)),
         'End it: ' || l.fix
    from publish.lockers() l
    join pg_class c on c.oid = l.relation and not c.relispartition
   where doctor_locks.waited and l.mode = 'AccessExclusiveLock'
         and c.relnamespace <> 'pg_catalog'::regnamespace
      or c.relnamespace = 'publish'::regnamespace and l.mode <> 'ShareUpdateExclusiveLock'
         and exists (select from pg_locks w
                      where w.relation = l.relation and not w.granted
                        and w.waitstart < clock_timestamp() - interval '5 seconds')
   group by l.relation, l.who, l.fix
$$;
comment on function publish.doctor_locks(boolean) is
  'For publish_doctor: who has locked a table of ours for which others wait, for 5 s or longer. '
  'waited: the doctor itself waited, so whatever table is locked as a whole counts.';
revoke all on function publish.doctor_locks(boolean) from public;
grant execute on function publish.doctor_locks(boolean) to publish_worker, publish_admin;
