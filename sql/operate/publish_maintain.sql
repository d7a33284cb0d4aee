-- Bounded steps. Pruning needs the drain's lock and is skipped when a drain runs. TRUNCATE comes
-- last: its ACCESS EXCLUSIVE locks, on slots no current transaction writes, last to commit.
create or replace function public.publish_maintain(
  batch int default 10000,
  out slots_emptied int,
  out drains_trimmed int,
  out rows_pruned int,
  out busy boolean,
  out held text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_done publish.maintenance;
  v_pruned record;
begin
  perform publish.check_batch(publish_maintain.batch),
          publish.check_read_committed('publish_maintain', 'a slot''s lock');
  v_done.at := clock_timestamp();
  perform publish.walk_replaced();
  perform publish.wake();
  v_done.messages_forgotten := publish.trim_inbox(publish_maintain.batch);
  v_done.batches_trimmed := publish.trim_delivery(publish_maintain.batch);
  v_done.jobs_pruned := public.publish_job_prune(publish_maintain.batch);
  perform publish.trim_workers(publish_maintain.batch);
  v_done.busy := not publish.try_writer_lock();
  v_done.rows_pruned := 0;
  v_done.rows_forced := 0;
  v_done.drains_trimmed := 0;
  v_done.held := '{}';
  if not v_done.busy then
    v_pruned := publish.prune(publish_maintain.batch);
    v_done.rows_pruned := v_pruned.pruned;
    v_done.rows_forced := v_pruned.forced;
    v_done.held := v_pruned.held;
    v_done.drains_trimmed := publish.trim_drains(publish_maintain.batch);
  end if;
  v_done.held := v_done.held || array(
    select h.holder
      from generate_series(0, 2) as s (slot)
     cross join lateral publish.slot_holder(s.slot) as h (holder)
     where h.holder is not null);
  v_done.slots_emptied :=
    (select count(*) from generate_series(0, 2) as s (slot) where publish.empty_slot(s.slot));
  perform publish.log_maintenance(v_done);
  slots_emptied := v_done.slots_emptied;
  drains_trimmed := v_done.drains_trimmed;
  rows_pruned := v_done.rows_pruned;
  busy := v_done.busy;
  held := v_done.held;
end
$$;
comment on function public.publish_maintain(int) is
  'Empties drained outbox slots, and removes what the settings no longer keep, at most batch of '
  'each: drains and batches of the logs, tombstones and rows of payload kinds with a retention, '
  'accepted messages, finished jobs. busy = true: a drain was running, and the feed and its log '
  'stayed as they were. held: what could not go, and why. publish.maintenance keeps a row of it. '
  'Asks for a walk over kinds whose view, or what it is made of, was replaced. '
  'Errors: PT400 bad batch, or not READ COMMITTED.';
revoke all on function public.publish_maintain(int) from public;
grant execute on function public.publish_maintain(int) to publish_worker, publish_admin;
