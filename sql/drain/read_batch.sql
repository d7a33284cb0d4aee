-- Rows come in (xid, seq) order, our own transaction's last, and a row of many keys is as many
-- elements, never cut: the first may so be larger than the batch. Whole transactions are taken
-- while they fit; the first one is cut when it alone is larger than the batch. 64 MB of payload is
-- a full batch too, so that arrays of large payloads stay far below PostgreSQL's 1 GB.
create or replace function publish.read_batch(
  state publish.drain,
  seen pg_snapshot,
  own xid8,
  batch int,
  out scanned int,
  out kinds text[],
  out source_ids text[],
  out seqs bigint[],
  out payloads jsonb[],
  out deleted boolean[],
  out headers jsonb[],
  out vias int[],
  out first_transaction int,
  out more boolean,
  out oldest timestamptz,
  out drained pg_snapshot,
  out partial_xid xid8,
  out partial_seq bigint
)
language plpgsql
as $$
declare
  v_xids xid8[];
  v_fitting int;
  v_cut xid8;
begin
  select array_agg(c.xid), array_agg(c.kind), array_agg(m.source_id), array_agg(c.seq),
         array_agg(case when c.fits then c.payload end), array_agg(c.deleted), array_agg(c.headers),
         array_agg(c.via), min(c.enqueued_at) filter (where c.fits), count(*) filter (where c.fits)
    into v_xids, read_batch.kinds, read_batch.source_ids, read_batch.seqs,
         read_batch.payloads, read_batch.deleted, read_batch.headers, read_batch.vias,
         read_batch.oldest, v_fitting
    from (
      select o.*,
             row_number() over w = 1
             or sum(1 + coalesce(cardinality(o.more), 0)) over w <= read_batch.batch
                and sum(case when o.payload is null then 0
                             when pg_column_size(o.payload) < 2000
                                  and pg_column_compression(o.payload) is null
                             then pg_column_size(o.payload)
                             else octet_length(o.payload::text) end) over w
                    <= 64 * 1024 * 1024 as fits
        from publish.undrained(read_batch.state.drained, read_batch.state.partial_xid,
                               read_batch.state.partial_seq, read_batch.seen, read_batch.own) r
       cross join lateral (
         select o.*
           from publish.outbox o
          where (o.xid, o.seq) > (r.lo, r.after) and o.xid < r.hi
          order by o.xid, o.seq
          limit read_batch.batch::bigint + 1
       ) o
      window w as (order by o.xid is not distinct from read_batch.own, o.xid, o.seq
                   rows unbounded preceding)
       order by o.xid is not distinct from read_batch.own, o.xid, o.seq
       limit read_batch.batch::bigint + 1
    ) c
   cross join lateral unnest(c.source_id || c.more) as m (source_id);
  read_batch.scanned := coalesce(cardinality(v_xids), 0);
  read_batch.more := read_batch.scanned > v_fitting;
  if read_batch.scanned = 0 then
    return;
  end if;

  if read_batch.scanned > v_fitting then
    v_cut := v_xids[v_fitting + 1];
    read_batch.scanned := v_fitting;
    if v_cut <> v_xids[1] then
      read_batch.scanned := array_position(v_xids, v_cut) - 1;
    end if;
  end if;

  if cardinality(array_positions(read_batch.vias, null)) = cardinality(read_batch.vias) then
    read_batch.vias := null;
  end if;
  read_batch.first_transaction :=
    least(read_batch.scanned, cardinality(array_positions(v_xids, v_xids[1])));
  read_batch.drained := publish.drained_after(
    read_batch.state.drained, read_batch.seen,
    case when v_cut is null or v_cut = read_batch.own then pg_snapshot_xmax(read_batch.seen)
         else v_cut end,
    read_batch.own);
  if v_xids[read_batch.scanned] = coalesce(v_cut, read_batch.own) then
    -- Cut inside one transaction, or our own, which may enqueue more.
    read_batch.partial_xid := v_xids[read_batch.scanned];
    read_batch.partial_seq := read_batch.seqs[read_batch.scanned];
  elsif not pg_visible_in_snapshot(read_batch.state.partial_xid, read_batch.drained) then
    read_batch.partial_xid := read_batch.state.partial_xid;
    read_batch.partial_seq := read_batch.state.partial_seq;
  end if;
end
$$;
comment on function publish.read_batch(publish.drain, pg_snapshot, xid8, int) is
  'The next marks to drain after "state": the first "scanned" elements of parallel arrays, '
  'and the state once they are drained: drained, partial_xid, partial_seq. vias: null where no '
  'mark asks for a lookup. first_transaction: how many are of the first transaction. more: whether '
  'others wait behind it. batch: marks at most. '
  'oldest: the lowest enqueued_at of what was read.';
revoke all on function publish.read_batch(publish.drain, pg_snapshot, xid8, int) from public;
