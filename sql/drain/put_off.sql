-- One transaction's keys that a lookup found, more than a batch: they become marks of the drain's
-- own transaction, for the drains after it.
create or replace function publish.put_off(
  kinds text[],
  source_ids text[],
  headers jsonb[],
  scanned int
) returns bigint
language sql
as $$
  select sum(publish.mark(g.kind, g.keys, g.headers))
    from (select u.kind, u.headers, array_agg(u.source_id order by u.n) as keys
            from unnest(put_off.kinds, put_off.source_ids, put_off.headers)
                   with ordinality as u (kind, source_id, headers, n)
           where u.n > put_off.scanned
           group by u.kind, u.headers) g
$$;
comment on function publish.put_off(text[], text[], jsonb[], int) is
  'Enqueues the keys of parallel arrays behind the first "scanned"; returns how many.';
revoke all on function publish.put_off(text[], text[], jsonb[], int) from public;
