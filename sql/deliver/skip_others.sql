create or replace function publish.skip_others(subscription_id int, lane int) returns boolean
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
declare
  v_subscription publish.subscription;
  v_state publish.state := publish.lock_lane(skip_others.subscription_id, skip_others.lane);
  v_head bigint := public.publish_head();
begin
  select s.* into v_subscription
    from publish.subscription s
   where s.subscription_id = skip_others.subscription_id;
  if v_state.token is null or v_state.is_open or v_state.cursor >= v_head
     or (select s.broken
           from publish.cursor_state(since => v_state.cursor, base => v_subscription.base,
                                     epoch => null,
                                     reading => row(v_subscription.kinds, null, null, null)
                                                  ::publish.reading) s) is not null
     or exists (select
                  from publish.next_changes(subscription => v_subscription, state => v_state,
                                            head => v_head, size => 1)) then
    return false;
  end if;
  perform publish.step_lane(v_state, v_head);
  return true;
end
$$;
comment on function publish.skip_others(int, int) is
  'Moves a settled lane to the head if nothing up to it is for this lane. True when it did.';
revoke all on function publish.skip_others(int, int) from public;
