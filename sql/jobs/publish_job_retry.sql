create or replace function public.publish_job_retry(id text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_job publish.job;
begin
  perform publish.return_lost_jobs(null, publish_job_retry.id);
  select j.* into v_job
    from publish.job j
   where j.id = publish_job_retry.id
     for no key update skip locked;
  if not found then
    if exists (select from publish.job j where j.id = publish_job_retry.id) then
      raise exception 'another transaction is at this job' using
        errcode = 'PT423',
        detail = format('job %L', publish_job_retry.id),
        hint = 'Try again; publish.job_activity shows who has it.';
    end if;
    raise exception 'no such job' using
      errcode = 'PT404',
      detail = format('job %L', left(publish_job_retry.id, 60)),
      hint = 'List them: select * from publish_jobs().';
  end if;
  if v_job.status = 'running' or v_job.due_at > clock_timestamp() and v_job.status = 'ignored'
     and (v_job.pid is null or publish.holds_job_lock(v_job.pid, v_job.token)) then
    raise exception 'this job is running' using
      errcode = 'PT423',
      detail = format('job %L is %s; worker %L has it, until %s at the latest if it is not heard '
                      'of', v_job.id, v_job.status, v_job.worker, v_job.due_at),
      hint = 'Wait until it has ended; what is cancelled ends at its next save.';
  end if;
  update publish.job j
     set status = 'pending', attempts = 0, setbacks = 0,
         due_at = clock_timestamp(), finished_at = null
   where j.id = v_job.id;
end
$$;
comment on function public.publish_job_retry(text) is
  'Makes a job due now, whether it is ignored, failed, succeeded or of later, with the data it '
  'saved and no attempt counted. Errors: PT423 it is running, also if it was cancelled since, or '
  'another transaction is at it; PT404 no such job.';
revoke all on function public.publish_job_retry(text) from public;
grant execute on function public.publish_job_retry(text) to publish_admin;
