create or replace function publish.overview_now() returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
  select jsonb_build_object(
    'at', clock_timestamp(), 'database', current_database(),
    'is_standby', pg_is_in_recovery(),
    'depth', public.publish_depth(),
    'feed', (
      select jsonb_build_object('head', d.head, 'drains', d.drain_id, 'last_drain_at', d.at,
                                'last_drain_s', date_part('epoch', d.duration),
                                'last_drain_marks', d.scanned, 'busy_s',
                                date_part('epoch', d.duration_total))
        from publish.drain d
       order by d.drain_id desc
       limit 1),
    'epoch', (
      select jsonb_build_object('epoch', e.epoch, 'number', e.epoch_no, 'cause', e.cause,
                                'at', e.at)
        from publish.epoch e
       order by e.epoch_no desc
       limit 1),
    'bytes', jsonb_build_object(
      'outbox', (select sum(pg_total_relation_size(format('publish.outbox_%s', s.n)::regclass))
                   from generate_series(0, 2) as s (n)),
      'feed', pg_total_relation_size('publish.published')),
    'kinds', (
      select coalesce(jsonb_agg(to_jsonb(k) order by k.kind), '[]') from publish.kind_states() k),
    'subscriptions', (
      select coalesce(jsonb_agg(jsonb_build_object(
               'name', s.name, 'sink', s.sink, 'state', s.state, 'reason', s.reason, 'circuit',
               s.circuit, 'waits_for', s.waits_for, 'behind', s.behind, 'lag_s',
               date_part('epoch', s.lag), 'retries', s.retries, 'dead', s.dead, 'workers',
               s.workers, 'last_error', s.last_error, 'last_error_at', s.last_error_at, 'fault',
               s.fault) order by s.name), '[]')
        from public.publish_subscriptions() s),
    'workers', (
      select coalesce(jsonb_agg(to_jsonb(w) - 'worker_id' order by w.kind, w.since, w.name), '[]')
        from publish.worker w
       where w.is_alive
          or w.seen_at > clock_timestamp() - interval '15 minutes' and w.doing <> 'ended'),
    'jobs', (
      select coalesce(jsonb_agg(m.labels || jsonb_build_object('count', m.value)
                                order by m.labels ->> 'kind', m.labels ->> 'status'), '[]')
        from publish.job_metrics() m
       where m.name = 'pgpublish_jobs'),
    'latency', (
      select coalesce(jsonb_agg(to_jsonb(l) || jsonb_build_object('span',
                                                                  date_part('epoch', l.span))),
                      '[]')
        from publish.latencies() l),
    'warnings', (select coalesce(jsonb_agg(to_jsonb(w)), '[]') from publish.warnings() w))
$$;
comment on function publish.overview_now() is
  'publish.overview() without the last hour and day, whose quantiles cost more than all the rest.';
revoke all on function publish.overview_now() from public;
