create or replace function public.publish_subscriptions()
returns table (
  name text, sink text, kinds text[], state text, reason text, circuit text, waits_for text,
  due_at timestamptz, last_error_class text, last_error text, last_error_at timestamptz,
  fault text, fault_at timestamptz, cursor bigint, head bigint, behind bigint,
  oldest_undelivered_at timestamptz, lag interval, retries bigint, dead bigint, workers text[],
  life bigint, is_resyncing boolean, paused_at timestamptz, paused_reason text,
  disabled_at timestamptz, lanes int, max_attempts int, backoff_min interval, backoff_max interval,
  lease interval, key boolean, rate numeric, on_reset text, give_up_after interval,
  filter text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
  select s.name, s.sink, s.kinds, w.state,
         coalesce(s.disabled_reason, s.paused_reason,
                  f.broken || format('; publish_resync(%L) sends everything again', s.name)),
         l.circuit,
         case when w.state in ('paused', 'disabled') then 'publish_resume'
              when w.state = 'reset needed' then 'publish_resync'
              when s.fault is not null then 'its configuration'
              when l.workers is not null then 'its worker'
              when l.circuit <> 'closed' then 'the endpoint'
              when d.ready > 0 then 'a worker'
              when d.wait_s is not null then 'time'
              when w.state = 'resyncing' and k.dead > 0 then 'its dead letters' end,
         clock_timestamp() + d.wait_s * interval '1 second', e.class, e.message, e.at, s.fault,
         s.fault_at, l.cursor, f.head, f.head - l.cursor, o.at, clock_timestamp() - o.at,
         k.retries, k.dead, l.workers, s.life, s.reset_rev is not null, s.paused_at,
         s.paused_reason, s.disabled_at, s.lanes, s.max_attempts, s.backoff_min, s.backoff_max,
         s.lease, s.key, s.rate, s.on_reset, s.give_up_after,
         s.filter
    from publish.subscription s
   cross join lateral publish.sum_of_lanes(s.subscription_id) l
   cross join lateral publish.cursor_state(since => l.cursor, base => s.base, epoch => null,
                                           reading => row(s.kinds, null, null,
                                                          null)::publish.reading) f
   cross join lateral (
     select case when s.disabled_at is not null then 'disabled'
                 when s.paused_at is not null then 'paused'
                 when f.broken is not null then 'reset needed'
                 when l.circuit <> 'closed' then 'endpoint failing'
                 when s.reset_rev is not null then 'resyncing'
                 else 'active' end as state
   ) w
   cross join lateral publish.sum_of_parked(s.subscription_id) k
   cross join lateral (
     select least(k.oldest_at, publish.oldest_change(s.kinds, l.cursor)) as at
   ) o
   cross join lateral publish.last_error(s.subscription_id) e
    left join publish.deliverable() d on d.name = s.name
   order by s.name
$$;
comment on function public.publish_subscriptions() is
  'Each subscription: what it does, how far it is, what failed last and what it waits for. state: '
  'active, resyncing, endpoint failing, reset needed (fell below the floor), paused, disabled '
  '(410). reason: why it is disabled, was paused by the database or needs a reset. circuit: open '
  '(the endpoint answers nothing, and a lane waits), half-open (one change is to try it), closed '
  '(all is well). waits_for: publish_resume, publish_resync, its configuration (see fault), its '
  'worker (a batch is in flight), the endpoint, a worker (something is ready, and nobody claims), '
  'time (until due_at), its dead letters (before pgpublish.resynced: redrive or discard them); '
  'null: there is nothing to send. fault: why a worker could not send at '
  'all. cursor: of its slowest lane. behind: revs between cursor and head. oldest_undelivered_at: '
  'when the oldest change that is not delivered was published, retries included; lag: since then. '
  'retries: keys that wait for their next attempt. dead: dead letters. is_resyncing: everything '
  'is sent again, and pgpublish.resynced has not been delivered. paused_reason: null if a person '
  'paused it. Then its settings, but for the options, which may hold secrets.';
revoke all on function public.publish_subscriptions() from public;
grant execute on function public.publish_subscriptions()
  to publish_reader, publish_worker, publish_admin;
