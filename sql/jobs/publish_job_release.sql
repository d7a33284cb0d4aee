create or replace function public.publish_job_release(id text, token bigint) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_held boolean;
  v_lease interval;
begin
  update publish.job j
     set status = 'pending', attempts = greatest(j.attempts - 1, 0), due_at = clock_timestamp()
   where j.id = publish_job_release.id and j.token = publish_job_release.token
     and j.status = 'running' and j.due_at > clock_timestamp()
  returning coalesce(j.pid = pg_backend_pid(), false), j.lease into v_held, v_lease;
  if not found then
    perform publish.refuse_settling(publish_job_release.id, publish_job_release.token);
  end if;
  perform publish.limit_idle(v_lease);
  v_held := v_held
            and pg_advisory_unlock(1886741101, publish.job_lock(publish_job_release.token));
end
$$;
comment on function public.publish_job_release(text, bigint) is
  'Hands a running job back, as a worker does that is being stopped: due at once, with the data it '
  'saved, and this start is not counted. Errors: PT409 the lease ran out or another worker has the '
  'job, PT404 no such job.';
revoke all on function public.publish_job_release(text, bigint) from public;
grant execute on function public.publish_job_release(text, bigint)
  to publish_worker, publish_admin;
