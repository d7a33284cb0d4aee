create or replace function publish.doctor_delivery(old interval) returns setof publish.finding
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with s as materialized (
    select s.*, 'subscription ' || s.name as object from public.publish_subscriptions() s
  )
  select 'dead_letters', 'warning', s.object,
         format('%s changes were given up; the last error: %s', s.dead, left(s.last_error, 200)),
         format('pgpublish dead list %s, then redrive or discard', quote_literal(s.name))
    from s where s.dead > 0
  union all
  select replace(s.state, ' ', '_'), case s.state when 'paused' then 'warning' else 'error' end,
         s.object, coalesce(s.reason, left(s.last_error, 200), 'since ' || s.paused_at,
                            'no batch gets through'),
         case s.state when 'reset needed' then format('select publish_resync(%L)', s.name)
                      when 'endpoint failing' then 'Repair the endpoint; it is tried by itself'
                      else format('select publish_resume(%L)', s.name) end
    from s where s.state in ('paused', 'disabled', 'reset needed', 'endpoint failing')
  union all
  select 'fault', 'error', s.object, left(s.fault, 200),
         'Correct its options, or install what the worker lacks'
    from s where s.fault is not null
  union all
  select 'nobody_delivers', 'error', s.object,
         format('%s changes wait, the oldest since %s, and no worker claims', s.behind,
                s.oldest_undelivered_at),
         'Run: pgpublish deliver'
    from s where s.waits_for = 'a worker' and s.lag > doctor_delivery.old
  union all
  select 'delivery_lag', 'warning', s.object,
         format('%s changes wait, the oldest since %s, for %s', s.behind, s.oldest_undelivered_at,
                case s.waits_for when 'time' then format('its rate or a retry, until %s', s.due_at)
                                 else array_to_string(s.workers, ', ') end),
         case s.waits_for when 'time' then 'Raise its rate, or see pgpublish subscriptions'
                          else format('If this worker is gone: its lease of %s ends by itself; '
                                      'else give the subscription more lanes', s.lease) end
    from s where s.waits_for in ('its worker', 'time') and s.state = any ('{active,resyncing}')
             and s.lag > doctor_delivery.old
  union all
  select 'undefined_kind', 'warning', s.object,
         format('it asks for %s, which is not defined', k.kind),
         'Define the kind, or subscribe again without it'
    from s cross join lateral unnest(s.kinds) as k (kind)
   where not exists (select from publish.kind d where d.kind = k.kind)
  union all
  select 'jobs_given_up', 'warning', 'jobs of kind ' || j.kind,
         format('%s failed too often, as %s', count(*), min(left(j.id, 60))),
         'See pgpublish jobs --status ignored, then jobs retry'
    from publish.job j
   where j.status = 'ignored'
   group by j.kind
  union all
  select 'nobody_works', 'error', 'jobs of kind ' || j.kind,
         format('%s are due or lost their worker, the oldest since %s', count(*), min(j.due_at)),
         format('Run: pgpublish work %s', quote_ident(j.kind))
    from publish.job j
   where j.status in ('pending', 'failed', 'running')
     and j.due_at < clock_timestamp() - doctor_delivery.old
   group by j.kind
$$;
comment on function publish.doctor_delivery(interval) is
  'For publish_doctor: what is not delivered, and jobs that do not run.';
revoke all on function publish.doctor_delivery(interval) from public;
grant execute on function publish.doctor_delivery(interval) to publish_worker, publish_admin;
