-- One statement from dirty keys to the feed. Revs follow the order of seq over all kinds.
create or replace function publish.apply_batch(
  head bigint,
  at timestamptz,
  scanned int,
  kinds text[],
  source_ids text[],
  seqs bigint[],
  payloads jsonb[],
  deleted boolean[],
  headers jsonb[],
  out keys int,
  out published int,
  out quarantined int
)
language plpgsql
as $$
begin
  with newest as (
    select distinct on (u.kind, u.source_id)
           u.kind, u.source_id, u.seq, u.payload, u.deleted, u.headers,
           k.schema_version, k.view is not null as projected
      from (select u.*
              from unnest(apply_batch.kinds, apply_batch.source_ids, apply_batch.seqs,
                          apply_batch.payloads, apply_batch.deleted, apply_batch.headers)
                     as u (kind, source_id, seq, payload, deleted, headers)
             limit apply_batch.scanned) u
      left join publish.kind k on k.kind = u.kind
     order by u.kind, u.source_id, u.seq desc
  ),
  incoming as materialized (
    select n.kind, n.source_id, n.seq, n.payload, n.deleted, n.headers, n.schema_version,
           n.projected,
           case when n.schema_version is null then 'PT404'
                when n.payload is null and not n.deleted then 'PT400' end as sqlstate,
           case when n.schema_version is null then 'kind is not defined'
                else 'a payload kind takes a payload' end as message
      from newest n
     where not n.projected
    union all
    select g.kind, p.source_id, p.seq, p.payload, p.deleted, p.headers_of, g.schema_version, true,
           p.sqlstate_of, p.message
      from (select n.kind, n.schema_version, array_agg(n.source_id) as source_ids,
                   array_agg(n.seq) as seqs, array_agg(n.headers) as headers
              from newest n
             where n.projected
             group by n.kind, n.schema_version) g
     cross join lateral publish.project(g.kind, g.source_ids, g.seqs, g.headers) p
  ),
  compared as materialized (
    select i.*, h.payload_hash, p.rev as old_rev,
           case when p.rev is null and i.deleted and i.projected then 'unchanged'
                when p.rev is null then 'new'
                when not i.projected and i.seq <= p.seq then 'unchanged'
                when (p.payload_hash, p.deleted, p.schema_version)
                     is distinct from (h.payload_hash, i.deleted, i.schema_version) then 'changed'
                when i.projected then 'unchanged'
                else 'seen' end as verdict
      from incoming i
     cross join lateral (select sha256(convert_to(i.payload::text, 'UTF8')) as payload_hash) h
      left join lateral (
        select p.rev, p.payload_hash, p.deleted, p.schema_version, p.seq
          from publish.published p
         where p.kind = i.kind and p.source_id = i.source_id
         order by p.rev desc
         limit 1
      ) p on true
     where i.sqlstate is null
  ),
  change as (
    select c.*, apply_batch.head + row_number() over (order by c.seq, c.kind, c.source_id) as rev
      from compared c
     where c.verdict in ('new', 'changed')
  ),
  added as (
    insert into publish.published
      (rev, kind, source_id, schema_version, payload, payload_hash, deleted, headers, seq,
       created_at, updated_at)
    select c.rev, c.kind, c.source_id, c.schema_version, c.payload, c.payload_hash, c.deleted,
           c.headers, c.seq, apply_batch.at, apply_batch.at
      from change c
     where c.verdict = 'new'
  ),
  moved as (
    update publish.published p
       set rev = c.rev, schema_version = c.schema_version, payload = c.payload,
           payload_hash = c.payload_hash, deleted = c.deleted, headers = c.headers, seq = c.seq,
           updated_at = apply_batch.at
      from change c
     where c.verdict = 'changed' and p.rev = c.old_rev
  ),
  seen as (
    -- The same payload again: a lower seq that commits later must still lose.
    update publish.published p
       set seq = c.seq
      from compared c
     where c.verdict = 'seen' and p.rev = c.old_rev
  ),
  set_aside as (
    insert into publish.quarantine as q
      (kind, source_id, seq, payload, deleted, headers, sqlstate, message,
       first_failed_at, last_failed_at, next_attempt_at)
    select i.kind, i.source_id, i.seq, i.payload, i.deleted, i.headers, i.sqlstate, i.message,
           apply_batch.at, apply_batch.at, apply_batch.at + publish.backoff(1)
      from incoming i
     where i.sqlstate is not null
    on conflict on constraint quarantine_pkey do update
       set seq = excluded.seq, payload = excluded.payload, deleted = excluded.deleted,
           headers = excluded.headers, sqlstate = excluded.sqlstate, message = excluded.message,
           attempts = q.attempts + 1, last_failed_at = excluded.last_failed_at,
           next_attempt_at = excluded.last_failed_at + publish.backoff(q.attempts + 1)
  ),
  released as (
    -- What an open publish_retry has locked is tried again once that ends, and released then.
    delete from publish.quarantine q
     where (q.kind, q.source_id) in (
       select l.kind, l.source_id
         from publish.quarantine l
         join newest n on n.kind = l.kind and n.source_id = l.source_id
        where (select exists (select from publish.quarantine))
          and not exists (select from incoming i
                           where i.kind = l.kind and i.source_id = l.source_id
                             and i.sqlstate is not null)
          for update of l skip locked)
  )
  select (select count(*) from newest), (select count(*) from change),
         (select count(*) from incoming i where i.sqlstate is not null)
    into apply_batch.keys, apply_batch.published, apply_batch.quarantined;
end
$$;
comment on function publish.apply_batch(
  bigint, timestamptz, int, text[], text[], bigint[], jsonb[], boolean[], jsonb[]) is
  'Publishes the first "scanned" outbox rows of parallel arrays above "head": projects, drops what '
  'did not change, gives what did the next revs, sets aside what fails. Counts distinct keys, '
  'published and quarantined.';
revoke all on function publish.apply_batch(
  bigint, timestamptz, int, text[], text[], bigint[], jsonb[], boolean[], jsonb[]) from public;
