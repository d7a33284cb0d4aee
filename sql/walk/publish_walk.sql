create or replace function public.publish_walk(kind text) returns timestamptz
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_asked_at timestamptz := clock_timestamp();
begin
  perform publish.key_columns(publish_walk.kind);
  perform publish.request_walk(publish_walk.kind, 'asked for');
  return v_asked_at;
end
$$;
comment on function public.publish_walk(text) is
  'Asks the drains to mark every key of the kind, page by page, as publish_walks shows. Returns '
  'when it was asked for: what begins later than that does it. Errors: PT404 not a projected kind.';
revoke all on function public.publish_walk(text) from public;
grant execute on function public.publish_walk(text) to publish_worker, publish_admin;
