create or replace function publish.end_drain(
  next publish.drain,
  began timestamptz,
  since timestamptz[] default null
) returns publish.drain
language plpgsql
as $$
declare
  v_next publish.drain := end_drain.next;
  v_now timestamptz := clock_timestamp();
  v_age float8 := greatest(0, date_part('epoch', v_next.lag)); -- a clock may have been set
begin
  if publish.sample_keep(v_next.at, v_now) is not null then
    perform publish.take_sample(v_next, v_now);
  end if;
  v_next.drain_id := v_next.drain_id + 1;
  insert into publish.drain
    (drain_id, head_before, head, drained, partial_xid, partial_seq, scanned, keys, published,
     unchanged, quarantined, lag, duration, at, next_size, retried, is_full, scanned_total,
     unchanged_total, quarantined_total, duration_total, waits, application)
  values (v_next.drain_id, v_next.head_before, v_next.head, v_next.drained, v_next.partial_xid,
          v_next.partial_seq, v_next.scanned, v_next.keys, v_next.published, v_next.unchanged,
          v_next.quarantined, v_next.lag, v_now - end_drain.began, v_now, v_next.next_size,
          v_next.retried, v_next.is_full, v_next.scanned_total + v_next.scanned,
          v_next.unchanged_total + v_next.unchanged, v_next.quarantined_total + v_next.quarantined,
          v_next.duration_total + (v_now - end_drain.began),
          -- Of a single mark: its age is the lag.
          case when end_drain.since is not null
                 then publish.add_ages(ages => v_next.waits, since => end_drain.since,
                                       now => v_now)
               when v_next.published = 1
                 then row(publish.add_age(counts => (v_next.waits).counts, age => v_age,
                                          many => 1),
                          (v_next.waits).seconds + v_age)::publish.ages
               else v_next.waits end,
          current_setting('application_name'));
  return v_next;
end
$$;
comment on function publish.end_drain(publish.drain, timestamptz, timestamptz[]) is
  'Appends the row that is the state of the next drain. next: the newest row, changed to what this '
  'drain did; its totals and its time are still those of before. since: of what it published; '
  'null: nothing, or one change of one mark. Returns next with its number.';
revoke all on function publish.end_drain(publish.drain, timestamptz, timestamptz[]) from public;
