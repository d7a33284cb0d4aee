create or replace function publish.sum_of_lanes(
  subscription_id int,
  out cursor bigint,
  out circuit text,
  out workers text[]
)
language plpgsql
stable
as $$
begin
  select min(l.cursor),
         case when bool_or(l.fresh_failures > 0 and l.fresh_due_at > clock_timestamp()
                           or l.retries_failures > 0 and l.retries_due_at > clock_timestamp())
                then 'open'
              when max(greatest(l.fresh_failures, l.retries_failures)) > 0 then 'half-open'
              else 'closed' end,
         array_agg(l.worker order by l.lane)
           filter (where l.is_open and l.lease_until > clock_timestamp())
    into sum_of_lanes.cursor, sum_of_lanes.circuit, sum_of_lanes.workers
    from publish.lane_now l
   where l.subscription_id = sum_of_lanes.subscription_id;
end
$$;
comment on function publish.sum_of_lanes(int) is
  'The lowest cursor of a subscription''s lanes, the worst circuit, and who holds them.';
revoke all on function publish.sum_of_lanes(int) from public;
