-- With the caller's rights, as publish_metrics.
create or replace function public.publish_serve_metrics(role name, scope text default null)
returns table (name text, type text, labels jsonb, value float8, help text)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform publish.check_metrics(publish_serve_metrics.role, publish_serve_metrics.scope);
  return query select m.name, m.type, m.labels, m.value, m.help from public.publish_metrics() m;
end
$$;
comment on function public.publish_serve_metrics(name, text) is
  'publish_metrics for a reader of pgpublish serve. Errors: PT403 its role may not call '
  'publish_metrics, or reads some kinds or one scope only.';
revoke all on function public.publish_serve_metrics(name, text) from public;
grant execute on function public.publish_serve_metrics(name, text) to publish_server, publish_admin;
