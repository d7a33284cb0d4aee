create or replace function public.publish_serve_get(
  role name,
  scope text,
  kind text,
  pub_id uuid
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
  select publish.shown(p, publish.shown_keys())
    from publish.get(
           publish.narrow(publish.reading_for(publish_serve_get.role, publish_serve_get.scope),
                          array[publish_serve_get.kind]),
           publish_serve_get.pub_id) p
$$;
comment on function public.publish_serve_get(name, text, text, uuid) is
  'publish_get as a reader of pgpublish serve sees it, as JSON; null for none. Errors: as '
  'publish_get.';
revoke all on function public.publish_serve_get(name, text, text, uuid) from public;
grant execute on function public.publish_serve_get(name, text, text, uuid)
  to publish_server, publish_admin;
