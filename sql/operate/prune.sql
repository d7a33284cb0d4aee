-- Called under the drain's lock. The floor moves in the same transaction as the rows go.
create or replace function publish.prune(batch int, tombstone_retention interval) returns int
language plpgsql
as $$
declare
  v_pruned int;
  v_floor bigint;
begin
  -- updated_at rises with rev: only the oldest rows are looked at.
  with old as (
    (select t.rev
       from (select p.rev, p.updated_at
               from publish.published p
              where p.deleted
              order by p.rev
              limit prune.batch) t
      where t.updated_at < clock_timestamp() - prune.tombstone_retention)
    union
    (select p.rev
       from publish.kind k
      cross join lateral (
        select p.rev, p.updated_at
          from publish.published p
         where (p.kind, p.rev) > (k.kind, 0) and p.kind <= k.kind
         order by p.kind, p.rev
         limit prune.batch
      ) p
      where p.updated_at < clock_timestamp() - k.retention
      limit prune.batch)
  ),
  gone as (
    delete from publish.published p using old o where p.rev = o.rev returning p.rev
  )
  select count(*), max(g.rev) into v_pruned, v_floor from gone g;
  if v_pruned > 0 then
    insert into publish.floor as f (floor, pruned)
    select v_floor, v_pruned
     where v_floor > coalesce(
       (select l.floor from publish.floor l order by l.floor desc limit 1), 0);
  end if;
  return v_pruned;
end
$$;
comment on function publish.prune(int, interval) is
  'Removes old tombstones and old rows of kinds with a retention, at most batch of each; returns '
  'how many.';
revoke all on function publish.prune(int, interval) from public;
