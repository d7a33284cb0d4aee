create or replace function publish.begin_drain() returns publish.drain
language plpgsql
as $$
declare
  v_state publish.drain;
  v_cause text;
begin
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  if not found then
    v_state.drain_id := 0;
    v_state.head := 0;
    v_state.retried := false;
    v_state.scanned_total := 0;
    v_state.unchanged_total := 0;
    v_state.quarantined_total := 0;
    v_state.duration_total := '0';
    v_state.waits := publish.no_ages();
  end if;
  v_cause := publish.begin_epoch(v_state.head);
  if v_state.drained is null or v_cause in ('moved', 'copied') then
    v_state.drained := '3:3:'; -- nothing: 3 is the first transaction a cluster runs
    v_state.partial_xid := null;
    v_state.partial_seq := null;
  end if;
  if v_cause is not null then
    perform set_config('publish.new_epoch', 'on', true);
  end if;
  v_state.head_before := v_state.head;
  return v_state;
end
$$;
comment on function publish.begin_drain() is
  'The newest row of publish.drain, which is the state that the next drain begins with. Begins an '
  'epoch where one is due. Called under the drain''s lock.';
revoke all on function publish.begin_drain() from public;
