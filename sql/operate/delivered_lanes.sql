create or replace function publish.delivered_lanes(subscription_id int)
returns table (lane int, token bigint)
language plpgsql
stable
as $$
begin
  return query
    with recursive found as (
      (select d.lane, d.token
         from publish.delivered d
        where d.subscription_id = delivered_lanes.subscription_id
        order by d.lane desc, d.token desc
        limit 1)
      union all
      select n.lane, n.token
        from found f
       cross join lateral (
         select d.lane, d.token
           from publish.delivered d
          where d.subscription_id = delivered_lanes.subscription_id and d.lane < f.lane
          order by d.lane desc, d.token desc
          limit 1) n
    )
    select f.lane, f.token from found f;
end
$$;
comment on function publish.delivered_lanes(int) is
  'The lanes that ever delivered, also those that are no more, each with the token of its newest '
  'row of publish.delivered.';
revoke all on function publish.delivered_lanes(int) from public;
