create or replace function publish.lock_job_to_start(id text) returns text
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_job publish.job;
begin
  if publish.return_lost_jobs(null, lock_job_to_start.id) > 0 then
    select j.* into v_job from publish.job j where j.id = lock_job_to_start.id;
    if v_job.status = 'ignored' then
      return null; -- an error would undo the verdict
    end if;
  end if;
  select j.* into v_job
    from publish.job j
   where j.id = lock_job_to_start.id
     for no key update skip locked;
  if v_job.id is null and not exists (
       select from publish.job j where j.id = lock_job_to_start.id) then
    raise exception 'no such job' using
      errcode = 'PT404',
      detail = format('job %L', left(lock_job_to_start.id, 60)),
      hint = 'Add it: publish_job_add(id, kind).';
  end if;
  if v_job.id is null or v_job.status = 'running' then
    raise exception 'somebody else runs this job' using
      errcode = 'PT423',
      detail = case when v_job.id is null
                    then format('job %L is being started or settled', lock_job_to_start.id)
                    else format('job %L, worker %L since %s, lease until %s', v_job.id,
                                v_job.worker, v_job.started_at, v_job.due_at) end,
      hint = 'Look at publish.job_activity, and try again later.';
  end if;
  if v_job.status = 'ignored' then
    raise exception 'this job is ignored' using
      errcode = 'PT410',
      detail = format('job %L, attempt %s of %s; last error: %s', v_job.id, v_job.attempts,
                      v_job.max_attempts,
                      coalesce((select format('%s: %s', e.error, left(e.message, 200))
                                  from publish.newest_errors(v_job.id, 1) e), 'none')),
      hint = 'Remove the cause, then: publish_job_retry(id).';
  end if;
  perform publish.require_room(id => v_job.id, kind => v_job.kind);
  return v_job.id;
end
$$;
comment on function publish.lock_job_to_start(text) is
  'Its id, its row locked to the end of the transaction; null if its last attempt was just found '
  'lost. Errors: PT404 no such job, PT410 it is '
  'ignored, PT423 it runs, another session holds its row, or its kind has no room.';
revoke all on function publish.lock_job_to_start(text) from public;
