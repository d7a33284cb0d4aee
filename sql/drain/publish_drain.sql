-- The single writer. The lock is tried, never waited for, and held to the end of the caller's
-- transaction; READ COMMITTED gives each statement below a snapshot taken after it. A crash or
-- rollback at any point leaves nothing but publish.attempt, from which the next drain learns what
-- to put aside. Plans are pinned to indexes: the tables may be empty when a session plans and large
-- minutes later.
create or replace function public.publish_drain(batch int default 500)
returns table (
  scanned int, keys int, published int, unchanged int, quarantined int, head bigint, busy boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
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
  v_began timestamptz := clock_timestamp();
  v_state publish.drain;
  v_next publish.drain;
  v_is_stopped boolean;
  v_off boolean := publish.is_off();
begin
  perform publish.check_installed('publish_owner'),
          publish.check_batch(publish_drain.batch),
          set_config('publish.began', v_began::text, true);
  perform publish.check_read_committed('publish_drain', 'its lock');
  if v_off then
    raise notice 'publishing is off' using
      errcode = 'PT423',
      hint = 'Call publish_set(''publishing'', ''on'').';
  end if;
  if v_off or current_setting('publish.stopped', true) = 'on' or not publish.try_writer_lock() then
    return query
      select 0, 0, 0, 0, 0,
             coalesce((select d.head from publish.drain d order by d.drain_id desc limit 1), 0),
             true;
    return;
  end if;

  v_state := publish.begin_drain();
  v_is_stopped := (select a.last_value > 0 from publish.attempt a);
  if not v_is_stopped then
    begin
      v_next := publish.drain_marks(state => v_state, batch => publish_drain.batch,
                                    began => v_began);
    exception when query_canceled then
      if not publish.timed_out() then
        raise;
      end if;
      v_is_stopped := true;
    end;
  end if;
  if v_is_stopped then
    -- No second timeout fires in this call: this is short and runs nobody's SQL.
    v_next := publish.blame(state => v_state, batch => publish_drain.batch, began => v_began);
    return query select greatest(v_next.scanned, 1), 0, 0, 0, 0, v_state.head, false;
    return;
  end if;
  if v_next.drain_id is null then
    return query
      select publish.walk_page(publish_drain.batch, v_began), 0, 0, 0, 0, v_state.head, false;
    return;
  end if;
  scanned := v_next.scanned;
  keys := v_next.keys;
  published := v_next.published;
  unchanged := v_next.unchanged;
  quarantined := v_next.quarantined;
  head := v_next.head;
  busy := false;
  return next;
  perform publish.walk_beside(batch => publish_drain.batch, is_full => v_next.is_full,
                              began => v_began);
  -- A full queue would fail the commit. A listener that finds none has its poll.
  if v_next.published > 0 and pg_notification_queue_usage() < 0.9 then
    perform pg_notify('publish', v_next.head::text);
  end if;
end
$$;
comment on function public.publish_drain(int) is
  'Publishes the next marks in the outbox, at most batch of them, and returns one row: marks '
  'scanned, distinct keys, published, unchanged, quarantined, the head rev, and busy = true when '
  'another drain holds the lock, this transaction has put marks aside and must end first, or '
  'publishing is off, as a notice of SQLSTATE PT423 says (then nothing was done). 0 scanned: '
  'nothing is left. Scanned without keys: a walk marked them for the '
  'next drain, or the users'' SQL of a kind ran into statement_timeout and its marks were put '
  'aside: call again. A source transaction is cut only if it alone is larger than the batch. '
  'Notifies channel "publish" with the new head. '
  'Errors: PT400 batch below 1, or not READ COMMITTED; PT503 owners were lost in a restore.';
revoke all on function public.publish_drain(int) from public;
grant execute on function public.publish_drain(int) to publish_worker, publish_admin;
