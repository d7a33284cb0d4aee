create or replace function publish.delivery_metrics() returns setof publish.metric
language sql
stable
as $$
  with subscription as materialized (
    select s.*, jsonb_build_object('subscription', s.name) as labels
      from public.publish_subscriptions() s
  )
  select row('pgpublish_subscription_' || m.name, 'gauge', s.labels || m.labels, m.value,
             m.help)::publish.metric
    from subscription s
   cross join lateral (values
     ('behind', '{}', s.behind::float8, 'Revs between its cursor and the head.'),
     ('oldest_undelivered_age_seconds', '{}',
      coalesce(date_part('epoch', greatest(s.lag, interval '0')), 0),
      'Time since the oldest change that is not delivered was published, retries included.'),
     ('dead_letters', '{}', s.dead, 'Changes that were given up.'),
     ('workers', '{}', coalesce(cardinality(s.workers), 0), 'Lanes that a worker holds.'),
     ('fault', '{}', (s.fault is not null)::int, '1: no worker can send; see status.'),
     ('last_error_timestamp_seconds',
      jsonb_build_object('class', s.last_error_class), extract(epoch from s.last_error_at),
      'When it failed last, by the class of that failure; the text is in status.'))
       m (name, labels, value, help)
   where m.value is not null
  union all
  select row('pgpublish_subscription_state', 'gauge',
             s.labels || jsonb_build_object('state', t.state), (t.state = s.state)::int,
             '1 for the state it is in, 0 for the others.')::publish.metric
    from subscription s
   cross join unnest('{active,resyncing,endpoint failing,reset needed,paused,disabled}'::text[])
           as t (state)
  union all
  select row('pgpublish_subscription_circuit', 'gauge',
             s.labels || jsonb_build_object('circuit', t.circuit), (t.circuit = s.circuit)::int,
             '1 for open, half-open or closed, 0 for the others.')::publish.metric
    from subscription s
   cross join unnest('{open,half-open,closed}'::text[]) as t (circuit)
  union all
  select row('pgpublish_subscription_lane_holder', 'gauge',
             jsonb_build_object('subscription', l.subscription, 'lane', l.lane::text,
                                'worker', l.worker),
             date_part('epoch', l.lease_until - clock_timestamp()),
             'Seconds that the lease of a lane still runs; below 0 its worker is silent.')
             ::publish.metric
    from publish.lane_state l
   where l.worker is not null
  union all
  select row('pgpublish_subscription_retries', 'gauge',
             jsonb_build_object('subscription', s.name, 'class', c.class), count(k.class),
             'Keys that wait for their next attempt, by the class of the last failure.')
             ::publish.metric
    from publish.subscription s
   cross join publish.failure_class c
    left join publish.parked k on k.subscription_id = s.subscription_id and k.class = c.class
                                  and k.next_attempt_at is not null
   group by s.name, c.class
  union all
  select d from publish.subscription s
   cross join lateral publish.delivered_metrics(s.subscription_id) d
$$;
comment on function publish.delivery_metrics() is 'Metrics of each subscription.';
revoke all on function publish.delivery_metrics() from public;
