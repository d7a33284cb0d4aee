create or replace function public.publish_quarantine(
  kind text default null,
  batch int default 100
) returns table (
  of_kind text, source_id text, sqlstate text, message text, attempts int,
  first_failed_at timestamptz, last_failed_at timestamptz, due_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform publish.check_batch(publish_quarantine.batch);
  if publish_quarantine.kind is not null then
    perform publish.check_kind(publish_quarantine.kind);
  end if;
  return query
    select q.kind, q.source_id, q.sqlstate, q.message, q.attempts, q.first_failed_at,
           q.last_failed_at, q.due_at
      from publish.quarantine q
     where q.kind = coalesce(publish_quarantine.kind, q.kind)
     order by q.first_failed_at, q.kind, q.source_id
     limit publish_quarantine.batch;
end
$$;
comment on function public.publish_quarantine(text, int) is
  'Keys that could not be published, of one kind or of all kinds, oldest failure first, at most '
  'batch. Each with SQLSTATE and message of its last failure, how often it failed, and when it is '
  'tried again (due_at). Errors: PT404 kind not defined, PT400 bad batch.';
revoke all on function public.publish_quarantine(text, int) from public;
grant execute on function public.publish_quarantine(text, int) to publish_worker, publish_admin;
