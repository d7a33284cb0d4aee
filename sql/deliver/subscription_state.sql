create or replace view publish.subscription_state as
select s.* from public.publish_subscriptions() s;
comment on view publish.subscription_state is
  'What publish_subscriptions returns, for queries that read views only.';
comment on column publish.subscription_state.state is
  'active, resyncing, endpoint failing, reset needed, paused or disabled.';
comment on column publish.subscription_state.reason is
  'Why it is disabled, was paused by the database, or needs a reset.';
comment on column publish.subscription_state.circuit is
  'open: the endpoint answers nothing, and a lane waits. half-open: one change is to try it.';
comment on column publish.subscription_state.waits_for is
  'What has to happen before something is sent; null: there is nothing to send.';
comment on column publish.subscription_state.due_at is 'When something is to be claimed.';
comment on column publish.subscription_state.last_error_class is 'A row of publish.failure_class.';
comment on column publish.subscription_state.last_error is
  'What the endpoint or the sink said last of a failure.';
comment on column publish.subscription_state.last_error_at is 'When it failed last.';
comment on column publish.subscription_state.fault is
  'Why a worker could not send at all; null when it can.';
comment on column publish.subscription_state.fault_at is 'Since when.';
comment on column publish.subscription_state.cursor is 'Of its slowest lane.';
comment on column publish.subscription_state.behind is 'Revs between cursor and head.';
comment on column publish.subscription_state.oldest_undelivered_at is
  'When the oldest change that is not delivered was published.';
comment on column publish.subscription_state.lag is 'Time since oldest_undelivered_at.';
comment on column publish.subscription_state.retries is 'Keys that wait for their next attempt.';
comment on column publish.subscription_state.dead is 'Dead letters.';
comment on column publish.subscription_state.workers is 'Who holds its lanes now.';
comment on column publish.subscription_state.is_resyncing is
  'Everything is sent again, and pgpublish.resynced has not been delivered.';
revoke all on publish.subscription_state from public;
grant select on publish.subscription_state to publish_reader, publish_worker, publish_admin;
