create or replace function public.publish_metrics()
returns table (name text, type text, labels jsonb, value float8, help text)
language sql
stable
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
  select m.name, m.type, m.labels, m.value, m.help from publish.feed_metrics() m
  union all
  select m.name, m.type, m.labels, m.value, m.help from publish.server_metrics() m
$$;
comment on function public.publish_metrics() is
  'Metrics as Prometheus has them, a row a sample: name with its suffix (_total, _bucket, _sum, '
  '_count), type (counter, gauge, histogram), labels, value, help. Counters and histograms count '
  'since the beginning and survive trimming. No figure takes longer for a larger backlog: what is '
  'counted in rows has a limit, which its help says. Members of pg_monitor also see the oldest '
  'snapshot.';
revoke all on function public.publish_metrics() from public;
grant execute on function public.publish_metrics()
  to publish_reader, publish_worker, publish_admin, publish_server;
