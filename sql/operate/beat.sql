create or replace function publish.beat(
  worker_id uuid,
  about jsonb,
  doing text,
  is_last boolean default false
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into publish.worker_start (worker_id, name, kind, host, pid, version)
  select beat.worker_id, a.name, a.kind, a.host, a.pid, a.version
    from jsonb_to_record(beat.about)
      as a (name text, kind text, host text, pid int, version text)
      on conflict do nothing;
  insert into publish.worker_beat (worker_id, doing, is_last)
  values (beat.worker_id, left(beat.doing, 200), beat.is_last);
end
$$;
comment on function publish.beat(uuid, jsonb, text, boolean) is
  'A worker''s sign of life, each fifteen seconds and when what it does changes. about: {"name", '
  '"kind", "host", "pid", "version"}, kept from the first on. is_last: it ends.';
revoke all on function publish.beat(uuid, jsonb, text, boolean) from public;
grant execute on function publish.beat(uuid, jsonb, text, boolean) to publish_worker, publish_admin;
