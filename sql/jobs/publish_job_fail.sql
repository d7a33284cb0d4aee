create or replace function public.publish_job_fail(
  id text,
  token bigint,
  error text,
  message text,
  traceback text default null,
  out status text,
  out due_at timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_job publish.job;
begin
  update publish.job j
     set status = case when greatest(j.attempts, 1) >= j.max_attempts then 'ignored'
                       else 'failed' end,
         attempts = greatest(j.attempts, 1),
         due_at = case when greatest(j.attempts, 1) < j.max_attempts
                       then clock_timestamp()
                            + publish.backoff(
                                attempts => j.setbacks + 1, backoff_min => j.backoff_min,
                                backoff_max => j.backoff_max) end,
         setbacks = j.setbacks + 1,
         finished_at = clock_timestamp()
   where j.id = publish_job_fail.id and j.token = publish_job_fail.token
     and j.status = 'running' and j.due_at > clock_timestamp()
  returning j.* into v_job;
  if not found then
    perform publish.refuse_settling(publish_job_fail.id, publish_job_fail.token);
  end if;
  perform publish.limit_idle(v_job.lease);
  insert into publish.job_error (id, attempt, error, message, traceback, worker)
  values (v_job.id, v_job.attempts, left(coalesce(publish_job_fail.error, 'unknown'), 200),
          left(coalesce(publish_job_fail.message, ''), 10000),
          right(publish_job_fail.traceback, 20000), v_job.worker);
  if v_job.pid = pg_backend_pid() then
    perform pg_advisory_unlock(1886741101, publish.job_lock(publish_job_fail.token));
  end if;
  publish_job_fail.status := v_job.status;
  publish_job_fail.due_at := v_job.due_at;
end
$$;
comment on function public.publish_job_fail(text, bigint, text, text, text) is
  'This attempt failed. error: SQLSTATE or type of the exception. Keeps error, message (the first '
  '10,000 characters) and traceback (the last 20,000). Returns the new status, and when the job '
  'will be due again: failed, or ignored (null) after max_attempts since the last progress; a run '
  'that fails after progress counts as one. Errors: PT409 the lease ran out or another worker has '
  'the job, PT404 no such job.';
revoke all on function public.publish_job_fail(text, bigint, text, text, text) from public;
grant execute on function public.publish_job_fail(text, bigint, text, text, text)
  to publish_worker, publish_admin;
