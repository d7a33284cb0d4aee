create or replace function publish.lockers()
returns table (relation oid, mode text, who text, fix text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select l.relation, l.mode,
         coalesce('process ' || l.pid || format(' (%s, %s)', a.usename, a.application_name),
                  'prepared transaction ' || x.gid),
         case when x.gid is null then format('select pg_terminate_backend(%s)', l.pid)
              else format('rollback prepared %L', x.gid) end
    from pg_locks l
    left join pg_stat_activity a on a.pid = l.pid
    left join pg_prepared_xacts x on l.virtualtransaction = '-1/' || x.transaction
   where l.locktype = 'relation' and l.granted
     and l.database = (select d.oid from pg_database d where d.datname = current_database())
     and l.pid is distinct from pg_backend_pid()
     and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                    'ExclusiveLock', 'AccessExclusiveLock')
$$;
comment on function publish.lockers() is
  'Locks of others on tables of this database that keep somebody from writing or reading: who has '
  'each, and what ends it.';
revoke all on function publish.lockers() from public;
