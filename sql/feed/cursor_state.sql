create or replace function publish.cursor_state(
  since bigint,
  base bigint,
  epoch uuid,
  reading publish.reading,
  out head bigint,
  out current_epoch uuid,
  out broken text
)
language plpgsql
stable
set enable_seqscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
declare
  v_floor bigint := publish.reading_floor(cursor_state.reading);
  v_epoch_no int;
begin
  cursor_state.head :=
    coalesce((select d.head from publish.drain d order by d.drain_id desc limit 1), 0);
  select e.epoch into cursor_state.current_epoch
    from publish.epoch e
   order by e.epoch_no desc
   limit 1;
  if cursor_state.since > cursor_state.head then
    cursor_state.broken :=
      format('since %s is above the head %s', cursor_state.since, cursor_state.head);
  elsif cursor_state.since > 0 or cursor_state.base is not null then
    if v_floor > greatest(cursor_state.since, cursor_state.base) then
      cursor_state.broken := format('rows up to rev %s were pruned, since is %s, base is %s',
                                    v_floor, cursor_state.since,
                                    coalesce(cursor_state.base::text, 'null'));
    end if;
  end if;
  if cursor_state.broken is null and cursor_state.epoch is distinct from cursor_state.current_epoch
     and cursor_state.epoch is not null then
    select e.epoch_no into v_epoch_no from publish.epoch e where e.epoch = cursor_state.epoch;
    if not found then
      cursor_state.broken := format('epoch %s is not known here', cursor_state.epoch);
    elsif exists (select from publish.epoch e
                   where e.epoch_no > v_epoch_no
                     and e.first_rev < greatest(cursor_state.since, cursor_state.base)) then
      cursor_state.broken := format('epoch %s ended below since %s', cursor_state.epoch,
                                    greatest(cursor_state.since, cursor_state.base));
    end if;
  end if;
end
$$;
comment on function publish.cursor_state(bigint, bigint, uuid, publish.reading) is
  'Head and epoch as this statement sees them and, if this reading cannot go on from here, why. A '
  'cursor of an older epoch goes on if it is not above the first_rev of any later one: the '
  'truncation rule of leader epochs (Kafka KIP-101). The floor counts against base, so that a '
  'first sync of old rows does not trip over it.';
revoke all on function publish.cursor_state(bigint, bigint, uuid, publish.reading)
  from public;
