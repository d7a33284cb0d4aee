create or replace function public.publish_head() returns bigint
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
  select coalesce((select d.head from publish.drain d order by d.drain_id desc limit 1), 0)
$$;
comment on function public.publish_head() is 'The highest rev published; 0 before the first.';
revoke all on function public.publish_head() from public;
grant execute on function public.publish_head()
  to publish_reader, publish_worker, publish_admin, publish_server;
