-- As the caller, who sees more of other sessions if it is a member of pg_monitor.
create or replace function publish.doctor_server(old interval) returns setof publish.finding
language sql
set search_path = pg_catalog, pg_temp
as $$
  select 'standby', 'error', 'the server', 'it is a standby: nobody can drain or deliver here',
         'Connect to the primary'
   where pg_is_in_recovery()
  union all
  select 'long_transaction', 'warning', format('process %s', a.pid),
         format('a snapshot of %s (%s) is %s transactions old%s', a.usename,
                a.application_name, age(a.backend_xmin), ', begun at ' || a.xact_start),
         format('End it: select pg_terminate_backend(%s)', a.pid)
    from pg_stat_activity a
   where a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
     and a.datname = current_database()
     and coalesce(a.backend_xmin, a.backend_xid) is not null
     and coalesce(a.xact_start < clock_timestamp() - doctor_server.old,
                  age(a.backend_xmin) > 10000000)
  union all
  select 'prepared_transaction', 'error', x.gid,
         format('prepared at %s by %s', x.prepared, x.owner),
         format('commit prepared %L, or rollback prepared', x.gid)
    from pg_prepared_xacts x
   where x.database = current_database()
     and x.prepared < clock_timestamp() - doctor_server.old
  union all
  select 'replication_slot', 'warning', s.slot_name::text,
         format('nobody reads it; it keeps %s of WAL',
                pg_size_pretty(pg_wal_lsn_diff(
                  case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                       else pg_current_wal_lsn() end, s.restart_lsn))),
         format('Start its reader, or: select pg_drop_replication_slot(%L)', s.slot_name)
    from pg_replication_slots s
   where not s.active and not s.temporary
  union all
  select 'notify_queue', 'warning', 'NOTIFY',
         format('its queue is %s %% full', round(100 * pg_notification_queue_usage())),
         'End the session that listens and has a transaction open'
   where pg_notification_queue_usage() > 0.5
  union all
  select 'connections', 'warning', 'max_connections',
         format('%s of %s are in use', count(*), current_setting('max_connections')),
         'Put a pooler in front of the application, or raise it'
    from pg_stat_activity a
   where a.backend_type = 'client backend'
  having count(*) > 0.8 * current_setting('max_connections')::int
  union all
  select 'wraparound', 'error', 'database ' || d.datname,
         format('its oldest row is %s transactions old', age(d.datfrozenxid)),
         'Find what keeps VACUUM from freezing: the long transactions, prepared ones and slots here'
    from pg_database d
   where d.datname = current_database() and age(d.datfrozenxid) > 1000000000
$$;
comment on function publish.doctor_server(interval) is
  'For publish_doctor: sessions, transactions and queues of the server that are in the way.';
revoke all on function publish.doctor_server(interval) from public;
grant execute on function publish.doctor_server(interval) to publish_worker, publish_admin;
