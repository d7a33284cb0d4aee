create or replace function public.publish_serve_reader(
  role name,
  scope text default null,
  kinds text[] default null
) returns table (granted text[], own_scope text, rights text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
rows 1
as $$
declare
  v_reading publish.reading :=
    publish.reading_for(publish_serve_reader.role, publish_serve_reader.scope);
begin
  perform publish.narrow(v_reading, publish_serve_reader.kinds);
  return query
    select coalesce(publish_serve_reader.kinds, v_reading.kinds), v_reading.scope, v_reading.rights;
end
$$;
comment on function public.publish_serve_reader(name, text, text[]) is
  'What a reader of pgpublish serve sees of these kinds: granted, null for all kinds, and of '
  'kinds that have a scope rows of own_scope, null for all rows. rights: the end of its cursors. '
  'Errors: PT403 nothing, or a kind that is not granted, PT404 a kind that is not defined.';
revoke all on function public.publish_serve_reader(name, text, text[]) from public;
grant execute on function public.publish_serve_reader(name, text, text[])
  to publish_server, publish_admin;
