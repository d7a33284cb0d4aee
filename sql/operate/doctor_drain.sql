create or replace function publish.doctor_drain(old interval) returns setof publish.finding
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select 'publishing_off', 'warning', coalesce(s.kind, 'all kinds'),
         'publishing is switched off; captures go on',
         format('select publish_set(''publishing'', ''on''%s)', ', ' || quote_literal(s.kind))
    from public.publish_settings() s
   where s.name = 'publishing' and s.value = 'off'
  union all
  select 'nobody_drains', 'error', 'publish_drain',
         format('%s marks and %s walks wait, the oldest since %s; the last drain was at %s',
                s.depth, o.walks, clock_timestamp() - o.age,
                coalesce(s.last_drain_at::text, 'no time'))
         || coalesce('; ' || w.who || ' keeps others from draining', ''),
         coalesce('End it: ' || w.fix,
                  'Run pgpublish drain, or schedule it: pgpublish cron install')
    from public.publish_status() s
   cross join lateral (
     select count(*) as walks, greatest(s.lag, clock_timestamp() - min(w.requested_at)) as age
       from publish.walk w
      where w.due_at <= clock_timestamp()
   ) o
    left join publish.lockers() w on w.relation = 'publish.writer'::regclass
   where o.age > doctor_drain.old and not publish.is_off()
     and (s.last_drain_at > clock_timestamp() - doctor_drain.old) is not true
  union all
  select 'lag', 'warning', 'publish_drain',
         format('%s marks wait, the oldest for %s', s.depth, s.lag),
         'See publish.drain for what drains take, and publish_backlog() for which kind it is'
    from public.publish_status() s
   where s.lag > doctor_drain.old and not publish.is_off()
     and s.last_drain_at > clock_timestamp() - doctor_drain.old
  union all
  select 'depth', case b.state when 'limit' then 'error' else 'warning' end, 'kind ' || b.kind,
         format('about %s marks wait; depth_warning %s, depth_limit %s', b.depth, b.depth_warning,
                coalesce(b.depth_limit::text, 'none')),
         'Find out why the drain is slow, or who writes so much'
    from public.publish_backlog() b
   where b.state <> 'ok'
  union all
  select 'quarantine', 'warning', 'kind ' || q.kind,
         format('%s keys cannot be published, as %s: %s', count(*),
                min(left(q.source_id, 60)), min(q.sqlstate || ' ' || left(q.message, 200))),
         format('pgpublish quarantine list, then retry: select publish_retry(%L)', q.kind)
    from publish.quarantine q
   group by q.kind
  union all
  select 'walk', 'warning', 'kind ' || w.kind,
         format('its walk failed %s times: %s', w.attempts, left(w.message, 200)),
         'Correct the view; publish_walks() shows where the walk is'
    from publish.walk w
   where w.attempts > 0 and w.message is not null
  union all
  select 'payload_clock', 'warning', 'publish.payload_no',
         format('the server''s clock was ahead, so that payloads are numbered as of %s: one with '
                'available_at before then counts as enqueued when it was, not when it is due',
                to_timestamp(p.last_value / 1e6)),
         'Until then enqueue payloads when they are due'
    from publish.payload_no p
   where p.last_value > publish.microseconds(clock_timestamp() + interval '1 minute')
$$;
comment on function publish.doctor_drain(interval) is
  'For publish_doctor: what keeps marks from being published.';
revoke all on function publish.doctor_drain(interval) from public;
grant execute on function publish.doctor_drain(interval) to publish_worker, publish_admin;
