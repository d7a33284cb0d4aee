create or replace function public.publish_serve_history() returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
  select jsonb_build_object('at', clock_timestamp(),
                            'hour', publish.history_of('1 hour', '10 s'))
$$;
comment on function public.publish_serve_history() is
  'The last hour in steps of ten seconds, as publish.overview() has it, for the curves of the page '
  'of pgpublish serve. They are of all kinds together, and the same for each reader.';
revoke all on function public.publish_serve_history() from public;
grant execute on function public.publish_serve_history() to publish_server, publish_admin;
