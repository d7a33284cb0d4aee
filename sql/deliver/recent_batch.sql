create or replace view publish.recent_batch as
select s.name as subscription, b.token, b.lane, b.worker, b.cursor, b.cursor_to, b.claimed, b.sent,
       b.failed, b.dead, b.part, b.error_class, b.error, b.claimed_at, b.settled_at,
       coalesce(b.settled_at, clock_timestamp()) - b.claimed_at as duration
  from publish.batch b
  join publish.subscription s on s.subscription_id = b.subscription_id
 where b.worker is not null;
comment on view publish.recent_batch is
  'The log of batches, as far as it is kept: what each claimed, sent and failed. Order by token.';
revoke all on publish.recent_batch from public;
grant select on publish.recent_batch to publish_reader, publish_worker, publish_admin;
