-- Only published_pub_id_idx gives this order, however small the table was when this was planned;
-- "where p.pub_id = … and p.kind = …" may be planned over all rows of the kind.
create or replace function public.publish_get(
  inout kind text,
  inout pub_id uuid,
  out rev bigint,
  out schema_version int,
  out deleted boolean,
  out payload jsonb,
  out payload_hash bytea,
  out headers jsonb,
  out created_at timestamptz,
  out updated_at timestamptz
) returns setof record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
rows 1
as $$
begin
  perform publish.check_kind(publish_get.kind);
  return query
    select p.kind, p.pub_id, p.rev, p.schema_version, p.deleted, p.payload, p.payload_hash,
           p.headers, p.created_at, p.updated_at
      from (
        select p.*
          from publish.published p
         where p.pub_id >= publish_get.pub_id and p.pub_id <= publish_get.pub_id
         order by p.pub_id, p.rev desc
         limit 1
      ) p
     where p.kind = publish_get.kind;
end
$$;
comment on function public.publish_get(text, uuid) is
  'What is published under this pub_id now: one row, a tombstone if it was deleted, or none. '
  'Errors: PT404 kind not defined.';
revoke all on function public.publish_get(text, uuid) from public;
grant execute on function public.publish_get(text, uuid)
  to publish_reader, publish_worker, publish_admin;
