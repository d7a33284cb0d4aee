create or replace function publish.lock_lane(subscription_id int, lane int)
returns publish.state
language plpgsql
as $$
declare
  v_state publish.state;
begin
  perform from publish.lane l
    where l.subscription_id = lock_lane.subscription_id and l.lane = lock_lane.lane
      for no key update skip locked;
  if found then -- in a statement of its own: its snapshot is taken after the lock
    select n.* into v_state
      from publish.lane_now n
     where n.subscription_id = lock_lane.subscription_id and n.lane = lock_lane.lane;
  end if;
  return v_state;
end
$$;
comment on function publish.lock_lane(int, int) is
  'Locks a lane and returns its state; null at once if somebody else has it.';
revoke all on function publish.lock_lane(int, int) from public;
