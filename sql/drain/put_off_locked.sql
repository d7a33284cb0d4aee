-- What is put off comes back with the age it has, so that lag shows it.
create or replace function publish.put_off_locked(
  kinds text[],
  source_ids text[],
  headers jsonb[],
  vias int[],
  scanned int,
  locked_kinds text[],
  locked_vias int[],
  since timestamptz
) returns void
language sql
as $$
  insert into publish.delayed (available_at, enqueued_at, kind, source_id, via, headers)
  select clock_timestamp() + interval '2 seconds', put_off_locked.since, u.kind, u.source_id,
         u.via, u.headers
    from unnest(put_off_locked.kinds, put_off_locked.source_ids, put_off_locked.headers,
                put_off_locked.vias) with ordinality as u (kind, source_id, headers, via, n)
   where u.n <= put_off_locked.scanned
     and (u.kind = any (put_off_locked.locked_kinds) or u.via = any (put_off_locked.locked_vias))
$$;
comment on function publish.put_off_locked(
  text[], text[], jsonb[], int[], int, text[], int[], timestamptz) is
  'Enqueues those of the first "scanned" marks of parallel arrays again, in two seconds, whose '
  'kind or whose lookup reads a locked table. since: how old they are at most.';
revoke all on function publish.put_off_locked(
  text[], text[], jsonb[], int[], int, text[], int[], timestamptz) from public;
