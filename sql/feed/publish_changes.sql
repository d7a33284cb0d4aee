-- Head, epoch, floor and rows are read in the caller's one snapshot; no snapshot function is used,
-- so it works on a hot standby.
create or replace function public.publish_changes(
  since bigint default 0,
  batch int default 500,
  kinds text[] default null,
  base bigint default null,
  epoch uuid default null
) returns table (
  rev bigint, kind text, pub_id uuid, schema_version int, deleted boolean, payload jsonb,
  payload_hash bytea, headers jsonb, created_at timestamptz, updated_at timestamptz, key text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
rows 500
as $$
declare
  v_reading publish.reading := publish.narrow(publish.callers_reading(), kinds);
  v_shown text[] := publish.shown_keys();
  v_broken text;
begin
  perform publish.check_page(since => publish_changes.since, batch => publish_changes.batch,
                             base => publish_changes.base);
  select s.broken into v_broken
    from publish.cursor_state(since => publish_changes.since, base => publish_changes.base,
                              epoch => publish_changes.epoch, reading => v_reading) s;
  if v_broken is not null then
    raise exception 'this cursor cannot be continued' using
      errcode = 'PT410',
      detail = v_broken,
      hint = 'Drop what was read, and begin again: since 0, with base = publish_head().';
  end if;
  return query
    select p.rev, p.kind, p.pub_id, p.schema_version, p.deleted, p.payload, p.payload_hash,
           p.headers, p.created_at, p.updated_at,
           case when p.kind = any (v_shown) then p.source_id end
      from publish.changes(reading => v_reading, since => publish_changes.since,
                           base => publish_changes.base, batch => publish_changes.batch) p;
end
$$;
comment on function public.publish_changes(bigint, int, text[], bigint, uuid) is
  'The next changes after rev "since", in rev order, at most batch; each key''s newest change '
  'only. kinds: only these; null: all that the caller may read. base: publish_head() as it was '
  'when this reader began at 0; tombstones up to it are left out. epoch: what the reader last saw. '
  'key: the source key, of kinds that show it. A reader with a scope sees a tombstone where a key '
  'leaves it. Errors: PT410 the cursor cannot be continued (above the head, pruned, or of a life '
  'of the database that ended), PT403 a kind that the caller may not read, PT404 one that is not '
  'defined, PT400 bad argument.';
revoke all on function public.publish_changes(bigint, int, text[], bigint, uuid) from public;
grant execute on function public.publish_changes(bigint, int, text[], bigint, uuid)
  to publish_reader, publish_worker, publish_admin;
