create or replace function publish.put_off_locked(
  locked text[],
  inout scanned int,
  inout kinds text[],
  inout source_ids text[],
  inout seqs bigint[],
  inout payloads jsonb[],
  inout deleted boolean[],
  inout headers jsonb[]
)
language sql
as $$
  with mark as materialized (
    select u.*
      from unnest(put_off_locked.kinds, put_off_locked.source_ids, put_off_locked.seqs,
                  put_off_locked.payloads, put_off_locked.deleted, put_off_locked.headers)
             as u (kind, source_id, seq, payload, deleted, headers)
     limit put_off_locked.scanned
  ),
  later as (
    insert into publish.delayed (available_at, kind, source_id, headers)
    select clock_timestamp() + interval '5 seconds', m.kind, m.source_id, m.headers
      from mark m
     where m.kind = any (put_off_locked.locked)
  )
  select count(*)::int, array_agg(m.kind), array_agg(m.source_id), array_agg(m.seq),
         array_agg(m.payload), array_agg(m.deleted), array_agg(m.headers)
    from mark m
   where m.kind <> all (put_off_locked.locked)
$$;
comment on function publish.put_off_locked(
  text[], int, text[], text[], bigint[], jsonb[], boolean[], jsonb[]) is
  'The first "scanned" marks of parallel arrays without those of the locked kinds, which are '
  'enqueued again in five seconds.';
revoke all on function publish.put_off_locked(
  text[], int, text[], text[], bigint[], jsonb[], boolean[], jsonb[]) from public;
