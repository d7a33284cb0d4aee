-- Writes nothing and locks nothing: what it says is a hint, publish_claim decides. An idle lane
-- costs one index lookup. After a promotion or a move lane 0 of each subscription is ready, also
-- while a worker of before has a lease, so that a claim does what that asks for.
create or replace function publish.deliverable(names text[] default null)
returns table (name text, ready int, wait_s float8)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
  with known as materialized (
    select public.publish_head() as head, exists (select from publish.parked k) as has_parked,
           case when publish.is_elsewhere() then 2147483647
                else publish.newest_break() end as epoch_no, clock_timestamp() as now
  ),
  lane as materialized (
    select s.name, k.now,
           case when l.is_open and s.epoch_no >= k.epoch_no then l.lease_until end as free_at,
           case when s.epoch_no < k.epoch_no then case when l.lane = 0 then k.now end
                when s.reset_rev is not null and c.control is not null
                  then case when c.control = 'control' or l.fresh_due_at > k.now and l.lane = 0
                            then greatest(k.now, l.fresh_due_at) end
                else least(
                  case when l.cursor < k.head
                            and publish.has_changes(subscription => s,
                                                    state => row(l.*)::publish.state,
                                                    head => k.head)
                       then greatest(k.now, l.fresh_due_at) end,
                  case when k.has_parked then (
                    select greatest(p.next_attempt_at, l.retries_due_at)
                      from publish.parked p
                     where p.subscription_id = l.subscription_id and p.lane = l.lane
                       and p.next_attempt_at >= l.retried_to
                     order by p.next_attempt_at, p.rev
                     limit 1) end) end as work_at
      from known k
     cross join publish.subscription s
      join publish.lane_now l on l.subscription_id = s.subscription_id
     cross join lateral (
       select case when s.reset_rev is not null
                   then publish.next_control(subscription => s, state => row(l.*)::publish.state,
                                             now => k.now) end as control
     ) c
     where (s.name = any (deliverable.names) or deliverable.names is null)
       and s.paused_at is null and s.disabled_at is null
  )
  select l.name,
         (count(*) filter (where greatest(l.work_at, l.free_at) <= l.now))::int,
         greatest(0, min(extract(epoch from greatest(l.work_at, l.free_at) - l.now)))::float8
    from lane l
   where l.work_at is not null
   group by l.name
$$;
comment on function publish.deliverable(text[]) is
  'Subscriptions (these, or all) that have something to send: how many lanes are ready now, and in '
  'how many seconds the first is.';
revoke all on function publish.deliverable(text[]) from public;
grant execute on function publish.deliverable(text[]) to publish_worker, publish_admin;
