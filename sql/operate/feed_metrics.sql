create or replace function publish.feed_metrics() returns setof publish.metric
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
  select m.* from publish.drain_metrics() m
  union all
  select m.* from publish.backlog_metrics() m
  union all
  select m.* from publish.delivery_metrics() m
  union all
  select m.* from publish.job_metrics() m
  union all
  select m.* from publish.worker_metrics() m
$$;
comment on function publish.feed_metrics() is
  'What publish_metrics says of pgpublish itself, read with the owner''s rights.';
revoke all on function publish.feed_metrics() from public;
grant execute on function publish.feed_metrics()
  to publish_reader, publish_worker, publish_admin, publish_server;
