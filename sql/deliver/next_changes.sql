-- The look for a parked key is a subquery and no join, so that it goes by index whatever the plan was
-- made for, and is left out where nothing is parked.
create or replace function publish.next_changes(
  subscription publish.subscription,
  lane int,
  cursor bigint,
  head bigint,
  batch int
) returns setof publish.published
language plpgsql
stable
rows 100
as $$
declare
  v_parked boolean := exists (
    select
      from publish.parked k
     where k.subscription_id = (next_changes.subscription).subscription_id);
begin
  if (next_changes.subscription).kinds is null then
    return query
      select p.*
        from publish.published p
       where p.rev > next_changes.cursor and p.rev <= next_changes.head
         and (not p.deleted or p.rev > (next_changes.subscription).tombstones_after)
         and publish.lane_of(p.pub_id, (next_changes.subscription).lanes) = next_changes.lane
         and (not v_parked or (
           select k.next_attempt_at
             from publish.parked k
            where k.subscription_id = (next_changes.subscription).subscription_id
              and k.pub_id = p.pub_id) is null)
       order by p.rev
       limit next_changes.batch;
  else
    return query
      select p.*
        from (select distinct k.kind from unnest((next_changes.subscription).kinds) as k (kind)) k
       cross join lateral (
         select p.*
           from publish.published p
          where (p.kind, p.rev) > (k.kind, next_changes.cursor) and p.kind <= k.kind
            and p.rev <= next_changes.head
            and (not p.deleted or p.rev > (next_changes.subscription).tombstones_after)
            and publish.lane_of(p.pub_id, (next_changes.subscription).lanes) = next_changes.lane
            and (not v_parked or (
              select k.next_attempt_at
                from publish.parked k
               where k.subscription_id = (next_changes.subscription).subscription_id
                 and k.pub_id = p.pub_id) is null)
          order by p.kind, p.rev
          limit next_changes.batch
       ) p
       order by p.rev
       limit next_changes.batch;
  end if;
end
$$;
comment on function publish.next_changes(publish.subscription, int, bigint, bigint, int) is
  'The lane''s changes above cursor and up to head, in rev order, at most batch. Keys that wait '
  'for a retry are left out: the retry sends their newest change. Dead letters are not: a '
  'newer change is tried.';
revoke all on function publish.next_changes(publish.subscription, int, bigint, bigint, int)
  from public;
