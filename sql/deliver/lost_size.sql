-- The range and the order leave one plan, as in publish.newest.
create or replace function publish.lost_size(state publish.state) returns int
language plpgsql
stable
as $$
begin
  if not (lost_size.state).is_open or (lost_size.state).lease_until > clock_timestamp() then
    return null;
  end if;
  return (
    select case when bool_and(n.settled_at is null) and count(*) = 2
                then (array_agg(n.claimed order by n.token desc))[1] end
      from (
        select b.token, b.settled_at, b.claimed
          from publish.batch b
         where b.subscription_id = (lost_size.state).subscription_id
           and b.lane >= (lost_size.state).lane and b.lane <= (lost_size.state).lane
           and b.claimed > 0
         order by b.lane, b.token desc
         limit 2
      ) n);
end
$$;
comment on function publish.lost_size(publish.state) is
  'How many changes the lane''s newest batch had, if it and the one before were lost. Else null.';
revoke all on function publish.lost_size(publish.state) from public;
