create or replace function publish.drain_marks(state publish.drain, batch int, began timestamptz)
returns publish.drain
language plpgsql
as $$
declare
  v_next publish.drain := drain_marks.state;
  v_size int := least(drain_marks.batch, (drain_marks.state).next_size);
  v_apart boolean := false;
  v_batch publish.drain_batch;
  v_hold record;
  v_marks publish.mark[];
  v_done publish.judgement;
  v_since timestamptz[];
  v_took interval;
begin
  loop
    v_batch := publish.read_batch(state => drain_marks.state, size => v_size, apart => v_apart);
    if cardinality(v_batch.marks) = 0 then
      return null;
    end if;
    v_hold := publish.hold(v_batch);
    v_marks := v_hold.held;
    exit when not v_batch.looks_up;
    v_marks := publish.expand(batch => v_batch, marks => v_hold.held, most => drain_marks.batch);
    exit when v_marks is not null;
    -- Too many together: due marks or the outbox; then fewer transactions of it, in the end the
    -- first alone, each published whole.
    if v_batch.due is not null then
      v_apart := true;
    else
      v_size := greatest(cardinality(v_batch.marks) / 2, v_batch.first);
    end if;
  end loop;
  perform publish.leave_out(aside => v_hold.aside, off => v_hold.off, locked => v_hold.locked);
  v_done := publish.judge(marks => v_marks, kinds => v_hold.kinds, phase => v_batch.phase);
  perform publish.apply(head => v_next.head, at => drain_marks.began, judgement => v_done);
  perform publish.release(batch => v_batch, held => v_hold.held, changes => v_done.changes);
  perform setval('publish.attempt', 0);

  v_next.drained := v_batch.drained;
  v_next.partial_xid := v_batch.partial_xid;
  v_next.partial_seq := v_batch.partial_seq;
  v_next.retried := v_batch.phase = 1;
  v_next.scanned := cardinality(v_batch.marks);
  v_next.keys := v_done.keys;
  v_next.published := v_done.new + v_done.changed;
  v_next.quarantined := v_done.failed;
  v_next.unchanged := v_next.keys - v_next.published - v_next.quarantined;
  v_next.head := v_next.head_before + v_next.published;
  if v_next.published > 0 and greatest(v_next.published, v_next.scanned) > 1 then
    v_since := publish.published_since(v_done);
  end if;
  v_next.lag := clock_timestamp() - v_batch.oldest;
  v_took := clock_timestamp() - drain_marks.began;
  v_next.next_size := publish.next_size(
    last => v_size, batch => drain_marks.batch,
    took => case when publish.time_grows(before => drain_marks.state, scanned => v_next.scanned,
                                         took => v_took) then v_took else interval '0' end);
  v_next.is_full := v_batch.is_full;
  return publish.end_drain(next => v_next, began => drain_marks.began, since => v_since);
end
$$;
comment on function publish.drain_marks(publish.drain, int, timestamptz) is
  'One drain: reads a batch, at most batch marks, and publishes it after this state. Returns the '
  'new state, or null when there was nothing to drain. Errors: those that publish.project passes '
  'on.';
revoke all on function publish.drain_marks(publish.drain, int, timestamptz) from public;
