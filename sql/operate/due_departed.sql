create or replace function publish.due_departed(batch int) returns table (place tid)
language sql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
  with general as materialized (
    select clock_timestamp() as now,
           publish.setting_of('tombstone_retention')::interval as tombstone_retention
  )
  select d.place
    from (select k.kind,
                 g.now - publish.tombstone_retention(k, g.tombstone_retention) as expired_at
            from publish.kind k
           cross join general g
          offset 0) k
   cross join lateral (
     select d.ctid as place
       from publish.departed d
      where d.kind = k.kind and d.departed_at < k.expired_at
      order by d.departed_at
      limit due_departed.batch
   ) d
   limit due_departed.batch
$$;
comment on function publish.due_departed(int) is
  'Tombstones of scopes that keys left, whose retention is over, at most batch.';
revoke all on function publish.due_departed(int) from public;
