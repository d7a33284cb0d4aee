-- Under the drain's lock, and as a drain: readers get a tombstone for every pub_id but the newest.
create or replace function publish.retire_duplicates(kind text, source_ids text[]) returns int
language plpgsql
as $$
declare
  v_state publish.drain;
  v_retired int;
begin
  perform publish.check_read_committed('retiring duplicates', 'the drain''s lock');
  if not publish.try_writer_lock() then
    raise exception 'a drain is running' using
      errcode = 'PT423',
      detail = format('kind %L has keys with two rows in the feed', retire_duplicates.kind),
      hint = 'Repair again; stop the drain if it never pauses.';
  end if;
  v_state := publish.begin_drain();
  with extra as (
    select p.rev, row_number() over (order by p.rev) as n
      from (select distinct i from unnest(retire_duplicates.source_ids) as i) as u (id)
     cross join lateral (
       select p.rev -- as publish.newest finds the one that stays
         from publish.published p
        where p.kind = retire_duplicates.kind and p.source_id >= u.id and p.source_id <= u.id
        order by p.source_id, p.rev desc
       offset 1
     ) p
  )
  update publish.published p
     set rev = v_state.head + e.n, source_id = format('duplicate %s', p.pub_id), deleted = true,
         payload = null, payload_hash = null, updated_at = clock_timestamp()
    from extra e
   where p.rev = e.rev;
  get diagnostics v_retired = row_count;
  if v_retired > 0 then
    v_state.head := v_state.head + v_retired;
    v_state.scanned := 0;
    v_state.keys := v_retired;
    v_state.published := v_retired;
    v_state.unchanged := 0;
    v_state.quarantined := 0;
    v_state.lag := interval '0';
    perform publish.end_drain(v_state, clock_timestamp());
  end if;
  return v_retired;
end
$$;
comment on function publish.retire_duplicates(text, text[]) is
  'Turns all rows but the newest of each of these keys into tombstones with revs of their own, and '
  'returns how many. Errors: PT423 a drain is running, PT400 not READ COMMITTED.';
revoke all on function publish.retire_duplicates(text, text[]) from public;
