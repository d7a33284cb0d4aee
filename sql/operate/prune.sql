-- Called under the drain's lock. The floors move in the same transaction as the rows go.
create or replace function publish.prune(
  batch int,
  out pruned int,
  out forced int,
  out held text[]
)
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
begin
  with due as materialized (
    select d.* from publish.due_rows(prune.batch) d
  ),
  doomed as materialized (
    select d.place, d.is_unread
      from due d
     where d.is_forced or not d.is_unread
     order by d.rev
     limit prune.batch
  ),
  gone as (
    delete from publish.published p
     where p.ctid = any (array(select d.place from doomed d))
    returning p.kind, p.rev
  ),
  departed as (
    delete from publish.departed d
     where d.ctid = any (array(select o.place from publish.due_departed(prune.batch) o))
    returning d.kind, d.rev
  ),
  by_kind as (
    select g.kind, g.departed, max(g.rev) as floor, count(*) as pruned
      from (select g.kind, g.rev, false as departed from gone g
            union all
            select d.kind, d.rev, true from departed d) g
     group by g.kind, g.departed
  ),
  risen as (
    insert into publish.floor (kind, departed, floor, pruned)
    select b.kind, b.departed, b.floor, b.pruned
      from by_kind b
     where b.floor > coalesce(publish.floor_of(kinds => array[b.kind], departed => b.departed), 0)
  )
  select (select coalesce(sum(b.pruned), 0) from by_kind b),
         (select count(*) from doomed d where d.is_unread),
         array(select format('old rows of %s: %s', d.kind, min(d.reader))
                 from due d
                where d.is_unread and not d.is_forced
                group by d.kind
                order by d.kind)
    into prune.pruned, prune.forced, prune.held;
end
$$;
comment on function publish.prune(int) is
  'Removes rows of the feed whose retention is over, oldest first, and tombstones of scopes that '
  'keys left, at most batch of each: how many; how many of them a subscription had not read; and '
  'what such subscriptions hold back.';
revoke all on function publish.prune(int) from public;
