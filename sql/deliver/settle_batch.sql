create or replace function publish.settle_batch(
  batch publish.batch,
  subscription publish.subscription,
  failures publish.failure[]
) returns publish.batch
language plpgsql
as $$
declare
  v_batch publish.batch := settle_batch.batch;
  v_now timestamptz;
begin
  if cardinality(settle_batch.failures) > 0 then
    perform publish.check_in_batch(batch => v_batch, lanes => (settle_batch.subscription).lanes,
                                   failures => settle_batch.failures);
  end if;
  -- No earlier than where the look for retries has come to, should the clock step back.
  v_now := greatest(clock_timestamp(), v_batch.retry_to);
  v_batch := publish.judge_batch(batch => v_batch, subscription => settle_batch.subscription,
                                 failures => settle_batch.failures, now => v_now);
  v_batch.failed := cardinality(settle_batch.failures);
  v_batch.sent := greatest(v_batch.claimed - v_batch.failed, 0);
  v_batch.dead := 0;
  v_batch.resume_at := v_batch.fresh_due_at;
  if v_batch.part = 'control' then
    perform publish.settle_control(v_batch, settle_batch.failures);
  elsif v_batch.failed > 0 then
    v_batch.dead := publish.park(batch => v_batch, subscription => settle_batch.subscription,
                                 failures => settle_batch.failures, now => v_now);
  end if;
  if v_batch.parked_ids <> '{}' then
    perform publish.unpark(v_batch, settle_batch.failures);
  end if;
  if v_batch.failed > 0 then
    perform publish.disable(v_batch.subscription_id, settle_batch.failures);
  end if;
  if v_batch.part <> 'control' then
    perform publish.count_delivered(batch => v_batch, subscription => settle_batch.subscription,
                                    failures => settle_batch.failures);
  end if;
  update publish.batch b
     set settled_at = clock_timestamp(), moments = null, sent = v_batch.sent,
         failed = v_batch.failed, dead = v_batch.dead, fresh_failures = v_batch.fresh_failures,
         fresh_due_at = v_batch.fresh_due_at, retries_failures = v_batch.retries_failures,
         retries_due_at = v_batch.retries_due_at, answered_at = v_batch.answered_at,
         resume_at = v_batch.resume_at, error_class = v_batch.error_class, error = v_batch.error
   where b.token = v_batch.token;
  return v_batch;
end
$$;
comment on function publish.settle_batch(
  publish.batch, publish.subscription, publish.failure[]) is
  'Settles a batch whose lane is locked, and returns it. Errors: PT400 a failure of what is not in '
  'it.';
revoke all on function publish.settle_batch(
  publish.batch, publish.subscription, publish.failure[]) from public;
