create or replace function public.publish_job_retry(id text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  v_status text;
begin
  update publish.job j
     set status = 'pending', attempts = 0, due_at = clock_timestamp(), finished_at = null
   where j.id = publish_job_retry.id and j.status <> 'running';
  if found then
    return;
  end if;
  select j.status into v_status from publish.job j where j.id = publish_job_retry.id;
  if not found then
    raise exception 'no such job' using
      errcode = 'PT404',
      detail = format('job %L', left(publish_job_retry.id, 60)),
      hint = 'List them: select * from publish_jobs().';
  end if;
  raise exception 'this job is running' using
    errcode = 'PT423',
    detail = format('job %L is %s', publish_job_retry.id, v_status),
    hint = 'Wait until it has ended, or cancel it first.';
end
$$;
comment on function public.publish_job_retry(text) is
  'Makes a job due now, whether it is ignored, failed, succeeded or of later, with the data it '
  'saved and no attempt counted. Errors: PT423 it is running, PT404 no such job.';
revoke all on function public.publish_job_retry(text) from public;
grant execute on function public.publish_job_retry(text) to publish_admin;
