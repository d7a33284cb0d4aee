-- Whole transactions are taken while they fit; the first one is cut when it alone is larger than
-- the batch. Our own may enqueue more, so it is never drained as a whole.
create or replace function publish.cut_batch(
  batch publish.drain_batch,
  places publish.outbox_place[],
  fitting int,
  seen pg_snapshot
) returns publish.drain_batch
language plpgsql
as $$
declare
  v_own xid8 := pg_current_xact_id_if_assigned();
  v_batch publish.drain_batch := cut_batch.batch;
  v_taken int := cut_batch.fitting;
  v_cut xid8;
begin
  v_batch.first := least(v_taken, (select count(*) from unnest(cut_batch.places) p
                                    where p.xid = (cut_batch.places)[1].xid));
  if v_batch.is_full then
    v_cut := (cut_batch.places)[v_taken + 1].xid;
    if v_cut <> (cut_batch.places)[1].xid then
      v_taken := (select min(p.n) - 1
                    from unnest(cut_batch.places) with ordinality as p (xid, seq, n)
                   where p.xid = v_cut);
    end if;
    v_batch.marks := v_batch.marks[:v_taken];
  end if;
  v_batch.drained := publish.drained_after(
    drained => v_batch.drained, seen => cut_batch.seen,
    cut => case when v_cut is null or v_cut = v_own then pg_snapshot_xmax(cut_batch.seen)
                else v_cut end,
    own => v_own);
  if (cut_batch.places)[v_taken].xid = coalesce(v_cut, v_own) then
    v_batch.partial_xid := (cut_batch.places)[v_taken].xid;
    v_batch.partial_seq := (cut_batch.places)[v_taken].seq;
  elsif pg_visible_in_snapshot(v_batch.partial_xid, v_batch.drained) then
    v_batch.partial_xid := null;
    v_batch.partial_seq := null;
  end if;
  return v_batch;
end
$$;
comment on function publish.cut_batch(publish.drain_batch, publish.outbox_place[], int, pg_snapshot)
  is 'The marks of a batch that was read, of which the first "fitting" fit into it, cut where a '
     'transaction ends, and the state once they are drained. places: of each mark, in order.';
revoke all on function
  publish.cut_batch(publish.drain_batch, publish.outbox_place[], int, pg_snapshot) from public;
