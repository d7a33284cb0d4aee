-- Counts what is visible and not drained without snapshot functions: right on a standby too.
create or replace function public.publish_status(
  out head bigint,
  out depth bigint,
  out lag interval,
  out delayed bigint,
  out quarantined bigint,
  out walks bigint,
  out epoch uuid,
  out floor bigint,
  out last_drain_at timestamptz,
  out last_drain_duration interval,
  out last_drain_scanned int,
  out last_drain_published int
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_state publish.drain;
begin
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  v_state.drained := coalesce(v_state.drained, '3:3:');
  select coalesce(sum(w.marks), 0), clock_timestamp() - min(w.enqueued_at)
    into publish_status.depth, publish_status.lag
    from (
      select cardinality(o.source_ids) as marks, o.enqueued_at
        from publish.outbox o
       where (o.xid >= pg_snapshot_xmax(v_state.drained)
              or o.xid = any (array(select pg_snapshot_xip(v_state.drained))))
         and (o.xid = v_state.partial_xid and o.seq <= v_state.partial_seq) is not true
      union all
      select 1, d.enqueued_at
        from publish.deferred d
       where d.reason = 'locked') w;
  publish_status.head := coalesce(v_state.head, 0);
  select count(*) filter (where d.reason = 'scheduled'), count(*) filter (where d.reason = 'failed')
    into publish_status.delayed, publish_status.quarantined
    from publish.deferred d;
  publish_status.walks := (select count(distinct w.kind) from publish.walk w);
  publish_status.epoch := (select e.epoch from publish.epoch e order by e.epoch_no desc limit 1);
  publish_status.floor :=
    coalesce((select f.floor from publish.floor f where not f.departed
               order by f.floor desc limit 1), 0);
  publish_status.last_drain_at := v_state.at;
  publish_status.last_drain_duration := v_state.duration;
  publish_status.last_drain_scanned := v_state.scanned;
  publish_status.last_drain_published := v_state.published;
end
$$;
comment on function public.publish_status() is
  'One row. head: the highest rev. depth: marks to drain, lag: age of the oldest (null when there '
  'is none). delayed: marks enqueued for later. quarantined: keys that failed. walks: kinds that '
  'are being walked, or will be. epoch. floor: the highest pruned rev. last_drain_…: the last '
  'drain that did something.';
revoke all on function public.publish_status() from public;
grant execute on function public.publish_status() to publish_reader, publish_worker, publish_admin;
