create or replace view publish.subscription_state as
select s.name, s.sink, s.kinds, s.lanes,
       case when s.disabled_at is not null then 'disabled'
            when s.paused_at is not null then 'paused'
            when f.floor > greatest(l.cursor, s.base) and (l.cursor > 0 or s.base is not null)
              then 'reset needed'
            when l.failures > 0 then 'endpoint failing'
            else 'active' end as status,
       coalesce(s.disabled_reason,
                case when f.floor > greatest(l.cursor, s.base)
                          and (l.cursor > 0 or s.base is not null)
                     then format('rows up to rev %s were pruned; publish_seek(%L, 0) sends all '
                                 'again', f.floor, s.name) end) as reason,
       l.cursor, h.head, h.head - l.cursor as behind,
       case when w.updated_at is not null then clock_timestamp() - w.updated_at end as lag,
       k.retries, k.dead, l.workers, l.resume_at, s.paused_at, s.disabled_at
  from publish.subscription s
 cross join (
   select coalesce((select d.head from publish.drain d order by d.drain_id desc limit 1), 0) as head
 ) h
 cross join lateral (
   select case when s.kinds is null
               then (select f.floor from publish.floor f order by f.floor desc limit 1)
               else (select max(n.floor)
                       from unnest(s.kinds) as k (kind)
                      cross join lateral (
                        select f.floor
                          from publish.floor f
                         where (f.kind, f.floor) >= (k.kind, 0) and f.kind <= k.kind
                         order by f.kind desc, f.floor desc
                         limit 1
                      ) n) end as floor
 ) f
 cross join lateral (
   select min(case when b.settled_at is null then b.cursor else b.cursor_to end) as cursor,
          max(b.failures) as failures,
          max(b.resume_at) filter (where b.resume_at > clock_timestamp()) as resume_at,
          array_agg(b.worker order by l.lane)
            filter (where b.settled_at is null and b.lease_until > clock_timestamp()) as workers
     from publish.lane l
    cross join lateral (
      select b.*
        from publish.batch b
       where b.subscription_id = l.subscription_id and b.lane = l.lane
       order by b.token desc
       limit 1
    ) b
    where l.subscription_id = s.subscription_id
 ) l
 cross join lateral (
   select count(k.next_attempt_at) as retries, count(*) - count(k.next_attempt_at) as dead
     from publish.parked k
    where k.subscription_id = s.subscription_id
 ) k
  left join lateral (
    select min(p.updated_at) as updated_at
      from (
        (select p.updated_at
           from publish.published p
          where s.kinds is null and p.rev > l.cursor
          order by p.rev
          limit 1)
        union all
        (select p.updated_at
           from unnest(s.kinds) as n (kind)
          cross join lateral (
            select p.updated_at
              from publish.published p
             where (p.kind, p.rev) > (n.kind, l.cursor) and p.kind <= n.kind
             order by p.kind, p.rev
             limit 1
          ) p)
      ) p
  ) w on true;
comment on view publish.subscription_state is
  'Each subscription: status, position, how far behind, retries, dead letters, who works on it. '
  'Options are not shown: they may hold secrets.';
comment on column publish.subscription_state.status is
  'active, paused, disabled (410), reset needed (fell below the floor), endpoint failing.';
comment on column publish.subscription_state.reason is 'Why it is disabled or needs a reset.';
comment on column publish.subscription_state.cursor is 'Of its slowest lane.';
comment on column publish.subscription_state.behind is 'Revs between cursor and head.';
comment on column publish.subscription_state.lag is 'Age of the oldest change above the cursor.';
comment on column publish.subscription_state.retries is 'Keys that wait for their next attempt.';
comment on column publish.subscription_state.dead is 'Dead letters.';
comment on column publish.subscription_state.workers is 'Who holds its lanes now.';
comment on column publish.subscription_state.resume_at is 'Its lanes wait until then, at most.';
revoke all on publish.subscription_state from public;
grant select on publish.subscription_state to publish_reader, publish_worker, publish_admin;
