-- Called under the drain's lock. The floors move in the same transaction as the rows go. Of a
-- projected kind only tombstones go: what its view shows stays published, and a later deletion
-- reaches those who read it.
create or replace function publish.prune(batch int, tombstone_retention interval) returns int
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_pruned int;
begin
  with kind as (
    select k.kind, case when k.view is null then v_now - k.retention end as expired_at,
           v_now - coalesce(case when k.view is not null then k.retention end,
                            prune.tombstone_retention) as tombstone_expired_at
      from publish.kind k
  ),
  old as (
    (select p.ctid
       from kind k
      cross join lateral (
        select p.ctid, p.rev
          from publish.published p
         where p.deleted and p.kind = k.kind and p.updated_at < k.tombstone_expired_at
         order by p.updated_at
         limit prune.batch
      ) p
      order by p.rev
      limit prune.batch)
    union
    -- updated_at rises with rev: only the oldest rows are looked at.
    (select p.ctid
       from kind k
      cross join lateral (
        select p.ctid, p.rev, p.updated_at
          from publish.published p
         where (p.kind, p.rev) > (k.kind, 0) and p.kind <= k.kind
         order by p.kind, p.rev
         limit prune.batch
      ) p
      where k.expired_at is not null and p.updated_at < k.expired_at
      order by p.rev
      limit prune.batch)
  ),
  gone as (
    delete from publish.published p
     where p.ctid = any (array(select o.ctid from old o))
    returning p.kind, p.rev
  ),
  by_kind as (
    select g.kind, max(g.rev) as floor, count(*) as pruned from gone g group by g.kind
  ),
  risen as (
    insert into publish.floor (kind, floor, pruned)
    select b.kind, b.floor, b.pruned
      from by_kind b
     where b.floor > coalesce(publish.floor_of(array[b.kind]), 0)
  )
  select coalesce(sum(b.pruned), 0) into v_pruned from by_kind b;
  return v_pruned;
end
$$;
comment on function publish.prune(int, interval) is
  'Removes tombstones older than tombstone_retention (of a projected kind with a retention: than '
  'that), and rows of payload kinds older than the kind''s retention, at most batch of each; '
  'returns how many.';
revoke all on function publish.prune(int, interval) from public;
