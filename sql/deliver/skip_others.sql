create or replace function publish.skip_others(subscription_id int, lane int) returns boolean
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_incremental_sort = off
as $$
declare
  v_subscription publish.subscription;
  v_state publish.batch;
  v_head bigint;
begin
  perform from publish.lane l
    where l.subscription_id = skip_others.subscription_id and l.lane = skip_others.lane
      for no key update skip locked;
  if not found then
    return false;
  end if;
  select s.* into v_subscription
    from publish.subscription s
   where s.subscription_id = skip_others.subscription_id;
  select b.* into v_state
    from publish.batch b
   where b.subscription_id = skip_others.subscription_id and b.lane = skip_others.lane
   order by b.token desc
   limit 1;
  v_head := public.publish_head();
  if v_state.settled_at is null or v_state.cursor_to >= v_head
     or (select s.broken
           from publish.cursor_state(since => v_state.cursor_to, base => v_subscription.base,
                                     epoch => null, kinds => v_subscription.kinds) s) is not null
     or exists (select
                  from publish.next_changes(
                         subscription => v_subscription, lane => skip_others.lane,
                         cursor => v_state.cursor_to, head => v_head, batch => 1)) then
    return false;
  end if;
  insert into publish.batch
    (subscription_id, lane, cursor, cursor_to, retried_to, retry_to, failures, resume_at,
     sent, failed, dead, settled_at)
  values (v_state.subscription_id, v_state.lane, v_state.cursor_to, v_head, v_state.retry_to,
          v_state.retry_to, v_state.failures, v_state.resume_at, 0, 0, 0, clock_timestamp());
  return true;
end
$$;
comment on function publish.skip_others(int, int) is
  'Moves a settled lane to the head if nothing up to it is for this lane. True when it did.';
revoke all on function publish.skip_others(int, int) from public;
