create or replace function publish.overview() returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set lock_timeout = '5s'
as $$
  select publish.overview_now() || jsonb_build_object(
    'hour', publish.history_of('1 hour', '10 s'), 'day', publish.history_of('1 day', '5 min'))
$$;
comment on function publish.overview() is
  'What the screens of pgpublish status, top and report show, as one object: what waits, kinds, '
  'subscriptions, workers, jobs, latency, warnings, and the last hour and day in steps.';
revoke all on function publish.overview() from public;
grant execute on function publish.overview() to publish_reader, publish_worker, publish_admin;
