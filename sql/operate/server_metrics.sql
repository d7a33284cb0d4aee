-- With the caller's rights: only members of pg_read_all_stats see the sessions of others.
create or replace function publish.server_metrics() returns setof publish.metric
language sql
stable
as $$
  select row('pgpublish_oldest_snapshot_age_seconds', 'gauge', '{}',
             coalesce(max(date_part('epoch', clock_timestamp()
                                             - coalesce(a.xact_start, a.query_start))), 0),
             'How long the oldest snapshot of another session has been held; only for members of '
             'pg_monitor.')::publish.metric
    from pg_catalog.pg_stat_activity a
   where a.backend_xmin is not null and a.pid <> pg_backend_pid()
  having pg_has_role(current_user, 'pg_read_all_stats', 'usage')
  union all
  select row('pgpublish_oldest_prepared_age_seconds', 'gauge', '{}',
             coalesce(max(date_part('epoch', clock_timestamp() - x.prepared)), 0),
             'Age of the oldest prepared transaction of this database.')::publish.metric
    from pg_catalog.pg_prepared_xacts x
   where x.database = current_database()
  union all
  select row('pgpublish_notify_queue_ratio', 'gauge', '{}', pg_notification_queue_usage(),
             'How full the queue of NOTIFY is.')::publish.metric
$$;
comment on function publish.server_metrics() is
  'Metrics of what others hold in the server, as far as the caller may see them.';
revoke all on function publish.server_metrics() from public;
grant execute on function publish.server_metrics()
  to publish_reader, publish_worker, publish_admin, publish_server;
