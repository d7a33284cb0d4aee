-- Called by publish_maintain before anything is pruned: a lane for which there is nothing steps
-- over what is not for it, so that it never falls below the floor for that.
create or replace function publish.trim_delivery(batch int) returns int
language plpgsql
set enable_seqscan = off
as $$
declare
  v_lane record;
  v_trimmed int;
begin
  for v_lane in
    select s.subscription_id, c.lane
      from publish.subscription s
     cross join lateral publish.lane_cursors(s.subscription_id) c
     where c.cursor < public.publish_head()
     limit trim_delivery.batch
  loop
    perform publish.skip_others(v_lane.subscription_id, v_lane.lane);
  end loop;
  delete from publish.accepted a
   where a.ctid in (
     select x.ctid
       from publish.accepted x
      where x.expires_at <= clock_timestamp()
      order by x.expires_at
      limit trim_delivery.batch
        for update skip locked);
  delete from publish.batch b
   where b.token in (
     select o.token
       from publish.batch o
      where o.token <= (select max(m.token) - 10000 from publish.batch m)
        and o.claimed_at < clock_timestamp() - interval '10 minutes'
        and exists (select
                      from publish.batch n
                     where n.subscription_id = o.subscription_id and n.lane = o.lane
                       and n.token > o.token)
      order by o.token
      limit trim_delivery.batch);
  get diagnostics v_trimmed = row_count;
  return v_trimmed;
end
$$;
comment on function publish.trim_delivery(int) is
  'Steps idle lanes on, forgets accepted messages whose time is over, and trims the log of batches '
  'to 10,000 and ten minutes; at most batch of each. Returns the rows trimmed from the log.';
revoke all on function publish.trim_delivery(int) from public;
