-- The circuits of a lane. One that is closed has no failures; one that is open waits until its
-- due_at; then it is half-open, for one change. An answer closes both. A batch that the endpoint
-- answered with nothing opens that of its part, and a fresh one that of the retries too. An
-- endpoint that asks for time opens both.
create or replace function publish.judge_batch(
  batch publish.batch,
  subscription publish.subscription,
  failures publish.failure[],
  now timestamptz
) returns publish.batch
language plpgsql
as $$
declare
  v_batch publish.batch := judge_batch.batch;
  v_min interval := (judge_batch.subscription).backoff_min;
  v_max interval := least((judge_batch.subscription).backoff_max, interval '1 minute');
  v_told record;
  v_paced_at timestamptz;
begin
  select coalesce(bool_or(c.is_answer), false) or v_batch.claimed > count(*) as answered,
         coalesce(bool_or(c.counts = 'if answered'), false) as failed,
         coalesce(bool_or(c.lane_waits), false) as busy,
         judge_batch.now + coalesce(max(f.retry_after), 0) * interval '1 second' as asked_at
    into v_told
    from unnest(judge_batch.failures) as f
    join publish.failure_class c on c.class = f.class;
  if v_told.answered then
    v_batch.answered_at := judge_batch.now;
    v_batch.fresh_failures := 0;
    v_batch.fresh_due_at := null;
    v_batch.retries_failures := 0;
    v_batch.retries_due_at := null;
  end if;
  if v_told.busy or v_told.failed and not v_told.answered then
    v_batch.retries_failures := v_batch.retries_failures + 1;
    v_batch.retries_due_at := greatest(v_told.asked_at, judge_batch.now
      + publish.backoff(attempts => v_batch.retries_failures, backoff_min => v_min,
                        backoff_max => v_max));
    if v_told.busy or v_batch.part <> 'retries' then
      v_batch.fresh_failures := v_batch.fresh_failures + 1;
      v_batch.fresh_due_at := greatest(v_told.asked_at, judge_batch.now
        + publish.backoff(attempts => v_batch.fresh_failures, backoff_min => v_min,
                          backoff_max => v_max));
    end if;
  end if;
  v_paced_at := v_batch.claimed_at + interval '1 second'
    * (v_batch.claimed * (judge_batch.subscription).lanes
       / (judge_batch.subscription).rate)::float8;
  v_batch.fresh_due_at := greatest(v_batch.fresh_due_at, v_paced_at);
  v_batch.retries_due_at := greatest(v_batch.retries_due_at, v_paced_at);
  select f.class, f.message into v_batch.error_class, v_batch.error
    from unnest(judge_batch.failures) as f
    join publish.failure_class c on c.class = f.class and (not c.keeps_place or c.disables)
   order by f.rev
   limit 1;
  return v_batch;
end
$$;
comment on function publish.judge_batch(
  publish.batch, publish.subscription, publish.failure[], timestamptz) is
  'The batch with what its failures say of the endpoint: whether it answered anything, and how '
  'long the parts of the lane wait.';
revoke all on function publish.judge_batch(
  publish.batch, publish.subscription, publish.failure[], timestamptz) from public;
