-- The single writer. The lock is tried, never waited for, and held to the end of the caller's
-- transaction; READ COMMITTED gives each statement below a snapshot taken after it. A crash or
-- rollback at any point leaves nothing. Plans are pinned to indexes: the tables may be empty when
-- a session plans and large minutes later. Session settings that change a value's text are pinned,
-- so that equal data has an equal hash.
create or replace function public.publish_drain(batch int default 500)
returns table (
  scanned int, keys int, published int, unchanged int, quarantined int, head bigint, busy boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_began timestamptz := clock_timestamp();
  v_state publish.drain;
  v_seen pg_snapshot;
  v_size int := publish_drain.batch;
  v_batch record;
  v_keys record;
  v_locked_kinds text[];
  v_locked_vias int[];
  v_done record;
begin
  perform publish.check_batch(publish_drain.batch);
  perform publish.check_read_committed('publish_drain', 'its lock');
  if not pg_try_advisory_xact_lock(1886741100, 0) then
    return query select 0, 0, 0, 0, 0, public.publish_head(), true;
    return;
  end if;

  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  if not found then
    v_state.drain_id := 0;
    v_state.head := 0;
    v_state.drained := '3:3:'; -- nothing: 3 is the first transaction a cluster runs
  end if;
  if publish.begin_epoch(v_state.head) then
    v_state.drained := '3:3:';
    v_state.partial_xid := null;
    v_state.partial_seq := null;
  end if;
  if publish.release_due(publish_drain.batch)
     and v_state.partial_xid = pg_current_xact_id_if_assigned() then
    -- A retry has a lower seq than what this transaction drained before: look at all its rows
    -- again.
    v_state.partial_xid := null;
    v_state.partial_seq := null;
  end if;
  v_seen := pg_current_snapshot();
  select b.* into v_batch
    from publish.read_batch(v_state, v_seen, pg_current_xact_id_if_assigned(), v_size) b;
  if v_batch.scanned = 0 then
    return query
      select publish.walk_rescan(publish_drain.batch, v_began), 0, 0, 0, 0, v_state.head, false;
    return;
  end if;

  v_locked_kinds := array(
    select k.kind
      from (select k.kind, k.view, count(*) over () as of
              from publish.kind k
             where k.view is not null and k.kind = any (v_batch.kinds[:v_batch.scanned])) k
     where not publish.try_hold_tables(to_regclass(k.view), k.of));
  v_locked_vias := array(
    select u.via
      from (select u.via, count(*) over () as of
              from unnest(v_batch.vias[:v_batch.scanned]) as u (via)
             where u.via is not null
             group by u.via) u
     where exists (select from publish.lookup_reads(u.via) r (relid)
                    where not publish.try_hold_tables(r.relid, u.of)));
  loop
    v_keys := v_batch;
    exit when v_batch.vias is null and v_locked_kinds = '{}';
    select f.* into v_keys
      from publish.fan_out(v_batch.scanned, v_batch.kinds, v_batch.source_ids, v_batch.seqs,
                           v_batch.payloads, v_batch.deleted, v_batch.headers, v_batch.vias,
                           v_locked_kinds, v_locked_vias,
                           case when v_batch.first_transaction < v_batch.scanned
                                then publish_drain.batch + 1 end) f;
    exit when v_keys.scanned <= publish_drain.batch or v_batch.first_transaction = v_batch.scanned;
    -- Too many together: fewer transactions, in the end the first alone, each published whole.
    v_size := greatest(v_batch.scanned / 2, v_batch.first_transaction);
    select b.* into v_batch
      from publish.read_batch(v_state, v_seen, pg_current_xact_id_if_assigned(), v_size) b;
  end loop;
  if v_locked_kinds <> '{}' or v_locked_vias <> '{}' then
    perform publish.put_off_locked(v_batch.kinds, v_batch.source_ids, v_batch.headers,
                                   v_batch.vias, v_batch.scanned, v_locked_kinds, v_locked_vias,
                                   v_batch.oldest);
  end if;
  if v_batch.vias is not null and v_keys.scanned > publish_drain.batch then
    v_keys.scanned := v_keys.scanned - v_keys.looked_up;
    perform publish.put_off(v_keys.kinds, v_keys.source_ids, v_keys.headers, v_keys.scanned);
  end if;
  if v_keys.scanned > 1 and current_setting('publish.set_aside', true) = 'on' then
    -- One row of many keys, one of which times out: the next drains find it, a row each.
    insert into publish.outbox (kind, source_id, headers)
    select u.*
      from unnest(v_keys.kinds[:v_keys.scanned], v_keys.source_ids[:v_keys.scanned],
                  v_keys.headers[:v_keys.scanned]) u;
    v_keys.scanned := 0;
  end if;

  select a.* into v_done
    from publish.apply_batch(v_state.head, v_began, v_keys.scanned, v_keys.kinds,
                             v_keys.source_ids, v_keys.seqs, v_keys.payloads, v_keys.deleted,
                             v_keys.headers) a;
  return query
    insert into publish.drain as d
      (drain_id, head_before, head, drained, partial_xid, partial_seq, scanned, keys, published,
       unchanged, quarantined, lag, duration, at)
    values (v_state.drain_id + 1, v_state.head, v_state.head + v_done.published, v_batch.drained,
            v_batch.partial_xid, v_batch.partial_seq, v_batch.scanned, v_done.keys,
            v_done.published, v_done.keys - v_done.published - v_done.quarantined,
            v_done.quarantined,
            clock_timestamp() - v_batch.oldest, clock_timestamp() - v_began, clock_timestamp())
    returning d.scanned, d.keys, d.published, d.unchanged, d.quarantined, d.head, false;
  -- While others wait, a walk adds a tenth of a batch.
  perform publish.walk_rescan(
    case when v_batch.more then greatest(publish_drain.batch / 10, 1)
         else publish_drain.batch end, v_began);
  if v_done.published > 0 then
    perform pg_notify('publish', (v_state.head + v_done.published)::text);
  end if;
end
$$;
comment on function public.publish_drain(int) is
  'Publishes the next marks in the outbox, at most batch of them, and returns one row: marks '
  'scanned, distinct keys, published, unchanged, quarantined, the head rev, and busy = true when '
  'another drain holds the lock (then nothing was done). 0 scanned: nothing is left; scanned '
  'without keys may be a walk that marked them for the next drain. A source transaction is cut '
  'only if it alone is larger than the batch. Notifies channel "publish" with the new head. '
  'Errors: PT400 batch below 1, or not READ COMMITTED.';
revoke all on function public.publish_drain(int) from public;
grant execute on function public.publish_drain(int) to publish_worker, publish_admin;
