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
  out updated_at timestamptz,
  out key text
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
  return query
    select p.kind, p.pub_id, p.rev, p.schema_version, p.deleted, p.payload, p.payload_hash,
           p.headers, p.created_at, p.updated_at,
           case when p.kind = any (publish.shown_keys()) then p.source_id end
      from publish.get(publish.narrow(publish.callers_reading(),
                                      array[publish_get.kind]), publish_get.pub_id) p;
end
$$;
comment on function public.publish_get(text, uuid) is
  'What is published under this pub_id now: one row, a tombstone if it was deleted or left the '
  'reader''s scope, or none. key: the source key, if the kind shows it. Errors: PT403 kind not '
  'granted, PT404 not defined.';
revoke all on function public.publish_get(text, uuid) from public;
grant execute on function public.publish_get(text, uuid)
  to publish_reader, publish_worker, publish_admin;
