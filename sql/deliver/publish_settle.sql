-- Idempotent: a worker that lost the answer settles again and gets it again. A lane that somebody
-- keeps locked, as by publish_pause in a transaction left open, must not hold its worker for good.
create or replace function public.publish_settle(
  token bigint,
  failed jsonb default '[]',
  out sent int,
  out parked int,
  out dead int,
  out resume_at timestamptz,
  out disabled boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_failures publish.failure[] := publish.read_failures(coalesce(publish_settle.failed, '[]'));
  v_batch publish.batch;
  v_subscription publish.subscription;
begin
  perform publish.lock_batch(publish_settle.token, v_failures);
  v_batch := publish.held_batch(publish_settle.token);
  select s.* into v_subscription
    from publish.subscription s
   where s.subscription_id = v_batch.subscription_id;
  if v_batch.settled_at is null then
    v_batch := publish.settle_batch(batch => v_batch, subscription => v_subscription,
                                    failures => v_failures);
  end if;
  publish_settle.sent := v_batch.sent;
  publish_settle.parked := v_batch.failed;
  publish_settle.dead := v_batch.dead;
  publish_settle.resume_at := v_batch.resume_at;
  publish_settle.disabled := exists (
    select
      from publish.subscription s
     where s.subscription_id = v_batch.subscription_id and s.disabled_at is not null);
end
$$;
comment on function public.publish_settle(bigint, jsonb) is
  'Ends a batch: what is not listed as failed was delivered, and the cursor moves. failed: '
  '[{"pub_id", "rev", "class", "message", "retry_after"}] with a class of publish.failure_class, '
  'whose rows say what each means; one that is not there is unknown. Each is parked for a retry, '
  'and the others do not wait for it; after max_attempts, or after it has failed for '
  'give_up_after, it is a dead letter. parked, dead: how many. resume_at: when fresh changes are '
  'claimed again, if they wait. Errors: PT409 the batch is no longer yours; PT400 bad argument, or '
  'a change that is not in the batch; 55P03 somebody has held the lane for a second: settle again. '
  'Then nothing was changed.';
revoke all on function public.publish_settle(bigint, jsonb) from public;
grant execute on function public.publish_settle(bigint, jsonb) to publish_worker, publish_admin;
