create or replace function publish.kind_states()
returns table (
  kind text, view text, depth bigint, oldest_s float8, failed bigint, scheduled bigint,
  walk_marked bigint, walk_estimate bigint, walk_message text
)
language sql
stable
as $$
  select k.kind, k.view, coalesce(w.marks, 0),
         case when w.oldest_at is not null
              then greatest(0, date_part('epoch', clock_timestamp() - w.oldest_at)) end,
         coalesce(d.failed, 0), coalesce(d.scheduled, 0), p.marked, p.estimate, p.message
    from publish.kind k
    left join publish.kind_depth() w on w.kind = k.kind
    left join (
      select d.kind, count(*) filter (where d.reason = 'failed') as failed,
             count(*) filter (where d.reason = 'scheduled') as scheduled
        from (select d.kind, d.reason from publish.deferred d limit 100000) d
       group by d.kind
    ) d on d.kind = k.kind
    left join lateral (
      select p.marked, p.estimate, p.message
        from publish.walk p
       where p.kind = k.kind
       order by p.requested_at
       limit 1
    ) p on true
   order by k.kind
$$;
comment on function publish.kind_states() is
  'Each kind with what waits of it: marks, the age of the oldest in seconds, keys that failed, '
  'marks for later, and its walk.';
revoke all on function publish.kind_states() from public;
