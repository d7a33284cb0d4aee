create or replace function publish.lane_cursors(subscription_id int)
returns table (lane int, cursor bigint)
language sql
stable
as $$
  select l.lane, case when b.settled_at is null then b.cursor else b.cursor_to end
    from publish.lane l
   cross join lateral (
     select b.*
       from publish.batch b
      where b.subscription_id = l.subscription_id and b.lane = l.lane
      order by b.token desc
      limit 1
   ) b
   where l.subscription_id = lane_cursors.subscription_id
$$;
comment on function publish.lane_cursors(int) is
  'The rev up to which each lane of a subscription is done.';
revoke all on function publish.lane_cursors(int) from public;
