create or replace function publish.take_sample(next publish.drain, at timestamptz) returns void
language plpgsql
as $$
declare
  v_next publish.drain := take_sample.next;
begin
  insert into publish.drain_sample
    (drain_id, at, keep, last_at, head, scanned_total, unchanged_total, quarantined_total,
     duration_total, waits)
  values (v_next.drain_id + 1, take_sample.at, publish.sample_keep(v_next.at, take_sample.at),
          v_next.at, v_next.head_before, v_next.scanned_total, v_next.unchanged_total,
          v_next.quarantined_total, v_next.duration_total, v_next.waits)
      on conflict do nothing; -- somebody emptied publish.drain: no drain fails for its statistics
end
$$;
comment on function publish.take_sample(publish.drain, timestamptz) is
  'Keeps what was counted before this drain, which ends at this time.';
revoke all on function publish.take_sample(publish.drain, timestamptz) from public;
