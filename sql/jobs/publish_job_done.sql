create or replace function public.publish_job_done(id text, token bigint, data jsonb default null)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if publish.end_job(id => publish_job_done.id, token => publish_job_done.token,
                     data => publish_job_done.data) then
    perform pg_advisory_unlock(1886741101, publish.job_lock(publish_job_done.token));
  end if;
end
$$;
comment on function public.publish_job_done(text, bigint, jsonb) is
  'The job succeeded: data, a JSON object, is merged into its own, its attempts are forgotten, its '
  'lease and advisory lock are released. Errors: PT409 the lease ran out or another worker has the '
  'job, PT404 no such job, PT400 bad argument.';
revoke all on function public.publish_job_done(text, bigint, jsonb) from public;
grant execute on function public.publish_job_done(text, bigint, jsonb)
  to publish_worker, publish_admin;
