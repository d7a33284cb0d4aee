-- updated_at rises with rev: only a kind's oldest rows are looked at, and what a reader holds back
-- comes last among them. Of a projected kind only tombstones go: what its view shows stays
-- published, and a later deletion reaches those who read it.
create or replace function publish.due_rows(batch int)
returns table (kind text, place tid, rev bigint, is_unread boolean, is_forced boolean, reader text)
language sql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
  with general as materialized (
    select clock_timestamp() as now, publish.setting_of('hold_limit')::interval as hold_limit,
           publish.setting_of('tombstone_retention')::interval as tombstone_retention
  ),
  kind as materialized (
    select k.kind, r.rows_to, r.tombstones_to, r.reader,
           case when k.view is null then g.now - k.retention end as expired_at,
           g.now - publish.tombstone_retention(k, g.tombstone_retention) as tombstone_expired_at,
           g.now - coalesce((k.settings ->> 'hold_limit')::interval, g.hold_limit) as forced_at
      from publish.kind k
     cross join general g
     cross join lateral publish.read_to(k.kind) r
  )
  select k.kind, p.place, p.rev, p.rev > k.tombstones_to,
         coalesce(p.updated_at < k.forced_at, false), k.reader
    from kind k
   cross join lateral (
     select p.ctid as place, p.rev, p.updated_at
       from publish.published p
      where p.deleted and p.kind = k.kind and p.updated_at < k.tombstone_expired_at
      order by p.updated_at
      limit due_rows.batch
   ) p
  union all
  select k.kind, p.place, p.rev, p.rev > k.rows_to,
         coalesce(p.updated_at < k.forced_at, false), k.reader
    from kind k
   cross join lateral (
     select p.ctid as place, p.rev, p.updated_at, p.deleted
       from publish.published p
      where (p.kind, p.rev) > (k.kind, 0) and p.kind <= k.kind and k.expired_at is not null
      order by p.kind, p.rev
      limit due_rows.batch
   ) p
   where p.updated_at < k.expired_at and not (p.deleted and p.updated_at < k.tombstone_expired_at)
$$;
comment on function publish.due_rows(int) is
  'Rows of the feed whose retention is over, the oldest of each kind, at most batch of tombstones '
  'and as many others. is_unread: a subscription is below it, as reader says. is_forced: older '
  'than hold_limit.';
revoke all on function publish.due_rows(int) from public;
