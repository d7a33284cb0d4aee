-- Inlined into its callers: no SET clause. The order, which parked_next_attempt_at_idx alone gives,
-- pins the plan.
create or replace function publish.next_retries(
  state publish.state,
  now timestamptz,
  size int
) returns setof publish.parked
language sql
stable
rows 100
as $$
  select k.*
    from publish.parked k
   where k.subscription_id = (next_retries.state).subscription_id
     and k.lane = (next_retries.state).lane
     and k.next_attempt_at >= (next_retries.state).retried_to
     and k.next_attempt_at <= next_retries.now
   order by k.next_attempt_at, k.rev
   limit next_retries.size
$$;
comment on function publish.next_retries(publish.state, timestamptz, int) is
  'The lane''s parked keys that are due, the longest due first, at most size.';
revoke all on function publish.next_retries(publish.state, timestamptz, int) from public;
