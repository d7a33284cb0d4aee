-- The drain before this one ended while users' SQL of one kind ran: statement_timeout,
-- transaction_timeout, a kill, a lack of memory, somebody's cancel, an error that the SQL raised
-- as if it were one of these. Which key it was nobody knows. So the kind's marks in the batch are
-- put aside unseen, and tried in groups; the other kinds go on at once. This is a drain of its own:
-- what it put aside must be committed before other users' SQL runs, or two such kinds would undo
-- each other's; so further drains of this transaction are told that they are busy. Where less is
-- found to be put aside than ran, because the caller takes smaller batches now or because our own
-- SQL took too long, batches become smaller.
create or replace function publish.blame(state publish.drain, batch int, began timestamptz)
returns publish.drain
language plpgsql
as $$
declare
  c_message constant text := 'a drain did not get through with this key: it was cancelled, '
                             'ended, or ran into a timeout or a limit';
  v_tried bigint := (select a.last_value from publish.attempt a);
  v_kind text := (select k.kind from publish.kind k where k.kind_no = v_tried / 4);
  v_next publish.drain := blame.state;
  v_size int := least(blame.batch, (blame.state).next_size);
  v_batch publish.drain_batch;
begin
  perform setval('publish.attempt', 0), set_config('publish.stopped', 'on', true);
  if v_tried % 4 = 2 then
    perform publish.postpone_walk(kind => v_kind, most => blame.batch,
                                  message => 'a page did not get through');
    return null;
  end if;
  -- As the drain that was stopped read it, not by the turn of now.
  blame.state.retried := v_tried % 4 <> 1;
  v_batch := publish.read_batch(state => blame.state, size => v_size);
  if v_tried % 4 = 0 then
    v_batch.marks := array(
      select m from unnest(publish.absorb(v_batch)) m where m.kind = v_kind);
    perform publish.defer(marks => v_batch.marks, reason => 'failed', sqlstate => '57014',
                          message => c_message);
  elsif v_batch.phase = 1 then
    perform publish.blame_again(v_batch);
  else
    v_batch.marks := '{}'; -- somebody has them locked
  end if;
  if cardinality(v_batch.marks) = 0 then
    v_next.next_size := greatest(1, v_size / 2);
  end if;
  v_next.retried := true; -- live changes come first
  v_next.scanned := greatest(1, cardinality(v_batch.marks));
  v_next.is_full := true;
  v_next.keys := 0;
  v_next.published := 0;
  v_next.unchanged := 0;
  v_next.quarantined := 0;
  v_next.lag := clock_timestamp() - blame.began;
  return publish.end_drain(v_next, blame.began);
end
$$;
comment on function publish.blame(publish.drain, int, timestamptz) is
  'What follows when the last drain did not come to its end, as publish.attempt tells: puts aside '
  'the marks of the kind whose SQL ran, or fewer of those that were put aside before, or halves '
  'the page of a walk. Returns the new state; null after a walk.';
revoke all on function publish.blame(publish.drain, int, timestamptz) from public;
