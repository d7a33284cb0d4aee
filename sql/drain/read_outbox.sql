-- Rows come in (xid, seq) order, our own transaction's last, and a row of many keys is as many
-- marks, never cut: the first may so be larger than the batch. 64 MB of payload and headers is a
-- full batch too, so that arrays of them stay far below PostgreSQL's 1 GB.
create or replace function publish.read_outbox(state publish.drain, size int)
returns publish.drain_batch
language plpgsql
set work_mem = '64MB'
as $$
declare
  v_seen pg_snapshot := pg_current_snapshot();
  v_own xid8 := pg_current_xact_id_if_assigned();
  v_batch publish.drain_batch;
  v_places publish.outbox_place[];
  v_fitting int;
  v_has_commits boolean := current_setting('track_commit_timestamp')::boolean;
begin
  v_batch := row('{}', null, 0, 0, false, false, false, null, (read_outbox.state).drained,
                 (read_outbox.state).partial_xid, (read_outbox.state).partial_seq);
  if read_outbox.size < 1 then
    return v_batch;
  end if;
  select array_agg(row(c.xid, c.seq)::publish.outbox_place), count(*) filter (where c.fits),
         coalesce(array_agg(row(c.kind, m.source_id, c.seq, c.payload_no,
                                case when c.fits then c.payload end, c.deleted, c.headers,
                                c.lookup_id, c.since)::publish.mark), '{}'),
         coalesce(bool_or(c.lookup_id is not null), false),
         min(c.since) filter (where c.fits)
    into v_places, v_fitting, v_batch.marks, v_batch.looks_up, v_batch.oldest
    from (
      select o.*,
             row_number() over w = 1
             or sum(cardinality(o.source_ids)) over w <= read_outbox.size
                and sum(publish.size_of(o.payload)
                        + publish.size_of(o.headers)::bigint * cardinality(o.source_ids)) over w
                    <= 64 * 1024 * 1024 as fits,
             coalesce(case when v_has_commits then pg_xact_commit_timestamp(o.xid::xid) end,
                      o.enqueued_at) as since
        from publish.undrained(drained => (read_outbox.state).drained,
                               partial_xid => (read_outbox.state).partial_xid,
                               partial_seq => (read_outbox.state).partial_seq,
                               seen => v_seen, own => v_own) r
       cross join lateral (
         select o.*
           from publish.outbox o
          where (o.xid, o.seq) > (r.lo, r.after) and o.xid < r.hi
          order by o.xid, o.seq
          limit read_outbox.size::bigint + 1
       ) o
      window w as (order by o.xid is not distinct from v_own, o.xid, o.seq
                   rows unbounded preceding)
       order by o.xid is not distinct from v_own, o.xid, o.seq
       limit read_outbox.size::bigint + 1
    ) c
   cross join lateral unnest(c.source_ids) as m (source_id);
  if v_places is null then
    return v_batch;
  end if;
  v_batch.is_full := cardinality(v_places) > v_fitting;
  return publish.cut_batch(batch => v_batch, places => v_places, fitting => v_fitting,
                           seen => v_seen);
end
$$;
comment on function publish.read_outbox(publish.drain, int) is
  'The next marks of the outbox after this state, at most size (none for 0), and the state once '
  'they are drained.';
revoke all on function publish.read_outbox(publish.drain, int) from public;
