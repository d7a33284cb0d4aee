create or replace view publish.lane_state as
select s.name as subscription, l.lane,
       case when b.settled_at is null then b.cursor else b.cursor_to end as cursor,
       case when b.settled_at is null then b.worker end as worker,
       case when b.settled_at is null then b.lease_until end as lease_until,
       b.failures, b.resume_at, b.token
  from publish.subscription s
  join publish.lane l on l.subscription_id = s.subscription_id
 cross join lateral (
   select b.*
     from publish.batch b
    where b.subscription_id = l.subscription_id and b.lane = l.lane
    order by b.token desc
    limit 1
 ) b;
comment on view publish.lane_state is
  'Each lane of each subscription: where it is, who holds it until when, and whether it waits for '
  'its endpoint.';
comment on column publish.lane_state.subscription is 'Name of the subscription.';
comment on column publish.lane_state.lease_until is 'Of the worker that holds it; past: silent.';
comment on column publish.lane_state.resume_at is 'Nothing is claimed before.';
revoke all on publish.lane_state from public;
grant select on publish.lane_state to publish_reader, publish_worker, publish_admin;
