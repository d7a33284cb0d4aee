create or replace view publish.lane_state as
select s.name as subscription, l.lane, l.cursor,
       case when l.is_open then l.worker end as worker,
       case when l.is_open then l.lease_until end as lease_until,
       l.fresh_failures, l.fresh_due_at, l.retries_failures, l.retries_due_at, l.answered_at,
       l.token
  from publish.subscription s
  join publish.lane_now l on l.subscription_id = s.subscription_id;
comment on view publish.lane_state is
  'Each lane of each subscription: where it is, who holds it until when, and whether its parts '
  'wait for the endpoint.';
comment on column publish.lane_state.subscription is 'Name of the subscription.';
comment on column publish.lane_state.lease_until is 'Of the worker that holds it; past: silent.';
comment on column publish.lane_state.fresh_failures is
  'Batches in a row that the endpoint answered with nothing; above 0 the next is one change.';
comment on column publish.lane_state.fresh_due_at is 'No fresh changes are claimed before.';
comment on column publish.lane_state.retries_failures is 'As fresh_failures, for retries.';
comment on column publish.lane_state.retries_due_at is 'No retries are claimed before.';
comment on column publish.lane_state.answered_at is
  'When the endpoint last took or refused a change of this lane.';
revoke all on publish.lane_state from public;
grant select on publish.lane_state to publish_reader, publish_worker, publish_admin;
