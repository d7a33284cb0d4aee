-- Ask it by subscription_id and lane of publish.lane, and name the columns: then each lane costs
-- one look at the newest entry of publish.batch_lane_idx, also while a snapshot is held open. The
-- range and the order leave one plan, as in publish.newest: a quiet lane would else be looked for
-- through the whole log of a busy one.
create or replace view publish.lane_now as
select l.subscription_id, l.lane, b.token, b.settled_at is null as is_open, b.worker, b.lease_until,
       case when b.settled_at is null then b.cursor else b.cursor_to end as cursor,
       case when b.settled_at is null then b.retried_to else b.retry_to end as retried_to,
       b.part, b.fresh_failures, b.fresh_due_at, b.retries_failures, b.retries_due_at,
       b.answered_at
  from publish.lane l
 cross join lateral (
   select b.*
     from publish.batch b
    where b.subscription_id = l.subscription_id and b.lane >= l.lane and b.lane <= l.lane
    order by b.lane, b.token desc
    limit 1
 ) b;
comment on view publish.lane_now is
  'The state of each lane: its newest batch, read as it counts while it is open or settled.';
comment on column publish.lane_now.is_open is 'A worker holds it until lease_until.';
comment on column publish.lane_now.cursor is 'Changes up to this rev are dealt with.';
comment on column publish.lane_now.retried_to is 'Retries due before were all taken.';
comment on column publish.lane_now.part is 'Of the newest batch, as in publish.batch.';
revoke all on publish.lane_now from public;
grant select on publish.lane_now to publish_admin;
