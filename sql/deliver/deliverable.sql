-- Writes nothing and locks nothing: what it says is a hint, publish_claim decides. An idle lane
-- costs one index lookup.
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
  with head as materialized (
    select coalesce((select d.head from publish.drain d order by d.drain_id desc limit 1), 0)
             as head,
           exists (select from publish.parked k) as parked, clock_timestamp() as now
  ),
  state as materialized (
    select s.name, s.subscription_id, s.kinds, s.lanes, s.tombstones_after, l.lane,
           case when b.settled_at is null then b.cursor else b.cursor_to end as cursor,
           greatest(case when b.settled_at is null then b.lease_until end, b.resume_at) as free_at,
           case when b.settled_at is null then b.retried_to else b.retry_to end as retried_to,
           h.head, h.now, h.parked
      from head h
     cross join publish.subscription s
      join publish.lane l on l.subscription_id = s.subscription_id
     cross join lateral (
       select b.settled_at, b.cursor, b.cursor_to, b.retried_to, b.retry_to, b.lease_until,
              b.resume_at
         from publish.batch b
        where b.subscription_id = l.subscription_id and b.lane = l.lane
        order by b.token desc
        limit 1
     ) b
     where (s.name = any (deliverable.names) or deliverable.names is null)
       and s.paused_at is null and s.disabled_at is null
  ),
  due as materialized (
    select t.name, t.now, t.free_at,
           least(
             case when t.cursor >= t.head then null
                  when t.kinds is null then (
                    select t.now
                      from publish.published p
                     where p.rev > t.cursor and p.rev <= t.head
                       and publish.lane_of(p.pub_id, t.lanes) = t.lane
                       and (not p.deleted or p.rev > t.tombstones_after)
                     order by p.rev
                     limit 1)
                  when exists (
                    select
                      from unnest(t.kinds) as k (kind)
                     cross join lateral (
                       select
                         from publish.published p
                        where (p.kind, p.rev) > (k.kind, t.cursor) and p.kind <= k.kind
                          and p.rev <= t.head
                          and publish.lane_of(p.pub_id, t.lanes) = t.lane
                          and (not p.deleted or p.rev > t.tombstones_after)
                        order by p.kind, p.rev
                        limit 1
                     ) p) then t.now end,
             case when t.parked then (
               select k.next_attempt_at
                 from publish.parked k
                where k.subscription_id = t.subscription_id and k.lane = t.lane
                  and k.next_attempt_at >= t.retried_to
                order by k.next_attempt_at
                limit 1) end) as work_at
      from state t
  )
  select d.name,
         (count(*) filter (where greatest(d.work_at, d.free_at) <= d.now))::int,
         greatest(0, min(extract(epoch from greatest(d.work_at, d.free_at) - d.now)))::float8
    from due d
   where d.work_at is not null
   group by d.name
$$;
comment on function publish.deliverable(text[]) is
  'Subscriptions (these, or all) that have something to send: how many lanes are ready now, and in '
  'how many seconds the first is.';
revoke all on function publish.deliverable(text[]) from public;
grant execute on function publish.deliverable(text[]) to publish_worker, publish_admin;
