-- A change of the batch is parked, or at a rev that it covers, which no other key has.
create or replace function publish.check_in_batch(
  batch publish.batch,
  lanes int,
  failures publish.failure[]
) returns void
language plpgsql
stable
as $$
declare
  v_batch publish.batch := check_in_batch.batch;
  v_strange text;
begin
  select string_agg(format('%s at rev %s', f.pub_id, f.rev), ', ') into v_strange
    from unnest(check_in_batch.failures) as f
   where case v_batch.part
     when 'control' then f.pub_id <> '00000000-0000-0000-0000-000000000000'
     else f.pub_id not in (select h.pub_id from unnest(v_batch.parked_ids) as h (pub_id))
          and (f.rev not between v_batch.cursor + 1 and v_batch.cursor_to
               or publish.lane_of(f.pub_id, check_in_batch.lanes) <> v_batch.lane
               or (select p.pub_id from publish.published p where p.rev = f.rev) <> f.pub_id) end;
  if v_strange is not null then
    raise exception 'failed names changes that are not in this batch' using
      errcode = 'PT400',
      detail = left(v_strange, 300),
      hint = 'Settle again with those that publish_claim gave; nothing was changed.';
  end if;
end
$$;
comment on function publish.check_in_batch(publish.batch, int, publish.failure[]) is
  'Errors: PT400 a failure of what is not in this batch.';
revoke all on function publish.check_in_batch(publish.batch, int, publish.failure[]) from public;
