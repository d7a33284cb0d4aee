create or replace function public.publish_serve_page(
  role name,
  scope text default null,
  cursor text default null,
  batch int default 500,
  kinds text[] default null
) returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
  select publish.page(
    reading => publish.narrow(
      publish.reading_for(publish_serve_page.role, publish_serve_page.scope),
      publish_serve_page.kinds),
    cursor => publish_serve_page.cursor, batch => publish_serve_page.batch)
$$;
comment on function public.publish_serve_page(name, text, text, int, text[]) is
  'publish_page as a reader of pgpublish serve sees it: one that came with a token for this role '
  'and scope. Errors: as publish_page.';
revoke all on function public.publish_serve_page(name, text, text, int, text[]) from public;
grant execute on function public.publish_serve_page(name, text, text, int, text[])
  to publish_server, publish_admin;
