-- Under the drain's lock, and as a drain: readers get a tombstone for every pub_id but the newest.
create or replace function publish.retire_duplicates(kind text, source_ids text[]) returns int
language plpgsql
as $$
declare
  v_state publish.drain;
  v_retired int;
begin
  perform publish.check_read_committed('retiring duplicates', 'the drain''s lock');
  if not pg_try_advisory_xact_lock(1886741100, 0) then
    raise exception 'a drain is running' using
      errcode = 'PT423',
      detail = format('kind %L has keys with two rows in the feed', retire_duplicates.kind),
      hint = 'Repair again, or stop the drain meanwhile.';
  end if;
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  with extra as (
    select p.rev, row_number() over (order by p.rev) as n
      from publish.published p
     where p.kind = retire_duplicates.kind and p.source_id = any (retire_duplicates.source_ids)
       and exists (select from publish.published q
                    where q.kind = p.kind and q.source_id = p.source_id and q.rev > p.rev)
  )
  update publish.published p
     set rev = v_state.head + e.n, source_id = format('duplicate %s', p.pub_id), deleted = true,
         payload = null, payload_hash = null, updated_at = clock_timestamp()
    from extra e
   where p.rev = e.rev;
  get diagnostics v_retired = row_count;
  if v_retired > 0 then
    insert into publish.drain
      (drain_id, head_before, head, drained, partial_xid, partial_seq, scanned, keys, published,
       unchanged, quarantined, lag, duration, at)
    values (v_state.drain_id + 1, v_state.head, v_state.head + v_retired, v_state.drained,
            v_state.partial_xid, v_state.partial_seq, 0, v_retired, v_retired, 0, 0,
            interval '0', interval '0', clock_timestamp());
  end if;
  return v_retired;
end
$$;
comment on function publish.retire_duplicates(text, text[]) is
  'Turns all rows but the newest of each of these keys into tombstones with revs of their own, and '
  'returns how many. Errors: PT423 a drain is running, PT400 not READ COMMITTED.';
revoke all on function publish.retire_duplicates(text, text[]) from public;
