-- Waits for a session that is just saving or settling the job. Its worker is not interrupted, but
-- refused from now on: it stops at its next beat. due_at stays what that run's lease was, so that
-- publish_job_retry knows how long there may still be a body at work.
create or replace function public.publish_job_cancel(id text) returns boolean
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
     set status = 'ignored', due_at = case when j.status = 'running' then j.due_at end,
         finished_at = clock_timestamp()
   where j.id = publish_job_cancel.id and j.status in ('pending', 'running', 'failed')
  returning j.* into v_job;
  if found then
    insert into publish.job_error (id, attempt, error, message, worker)
    values (v_job.id, v_job.attempts, 'cancelled', format('by %s', session_user), v_job.worker);
    return true;
  end if;
  if not exists (select from publish.job j where j.id = publish_job_cancel.id) then
    raise exception 'no such job' using
      errcode = 'PT404',
      detail = format('job %L', left(publish_job_cancel.id, 60)),
      hint = 'List them: select * from publish_jobs().';
  end if;
  return false;
end
$$;
comment on function public.publish_job_cancel(text) is
  'The job will not be started any more: ignored, with the error "cancelled". A worker that runs '
  'it is refused at its next beat. False if it had succeeded or was ignored already; '
  'publish_job_retry undoes it. Errors: PT404 no such job.';
revoke all on function public.publish_job_cancel(text) from public;
grant execute on function public.publish_job_cancel(text) to publish_admin;
