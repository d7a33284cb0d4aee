create or replace function public.publish_job_limits(
  out kind text,
  out max_running int,
  out running int
) returns setof record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
rows 10
as $$
begin
  return query
    select m.kind, m.max_running,
           (select count(*)::int
              from publish.job j
             where j.status = 'running' and j.kind = m.kind) as running
      from publish.job_limit m
     order by m.kind;
end
$$;
comment on function public.publish_job_limits() is
  'Kinds with a limit, and how many of their jobs run; a run whose worker died counts until it is '
  'taken over.';
revoke all on function public.publish_job_limits() from public;
grant execute on function public.publish_job_limits() to publish_worker, publish_admin;
