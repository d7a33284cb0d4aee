-- Called when no row was found under id, token and a lease that runs.
create or replace function publish.refuse_settling(id text, token bigint) returns void
language plpgsql
as $$
declare
  v_job publish.job;
begin
  perform publish.check_read_committed('a call for a running job', 'its lease');
  -- This session may hold the lock of the run it lost; nothing would release it before it ends.
  perform pg_advisory_unlock(l.classid::int, l.objid::int)
     from pg_catalog.pg_locks l
    where l.locktype = 'advisory' and l.classid = 1886741101 and l.objsubid = 2
      and l.objid = publish.job_lock(refuse_settling.token)::bigint::oid and l.granted
      and l.pid = pg_backend_pid()
      and not exists ( -- another job's run, whose token was passed with this id
        select
          from publish.job j
         where j.status = 'running' and j.token = refuse_settling.token
           and j.due_at > clock_timestamp());
  select j.* into v_job from publish.job j where j.id = refuse_settling.id;
  if not found then
    raise exception 'no such job' using
      errcode = 'PT404',
      detail = format('job %L', left(refuse_settling.id, 60)),
      hint = 'Pass id and token as publish_job_start returned them.';
  end if;
  if v_job.status = 'ignored' and v_job.token = refuse_settling.token and v_job.due_at is not null
  then
    raise exception 'this job was cancelled' using
      errcode = 'PT409',
      detail = format('job %L, at %s', v_job.id, v_job.finished_at),
      hint = 'Stop. publish_job_retry(id) has it started again.';
  end if;
  raise exception 'this run has lost its job' using
    errcode = 'PT409',
    detail = format('job %L, token %s; it is %s, token %s, worker %L, %s', v_job.id,
                    coalesce(refuse_settling.token::text, 'null'), v_job.status,
                    coalesce(v_job.token::text, 'none'), v_job.worker,
                    coalesce('due or leased until ' || v_job.due_at, 'finished')),
    hint = 'Stop: another worker has or will have it. Beat more often, or take a longer lease.';
end
$$;
comment on function publish.refuse_settling(text, bigint) is
  'Raises PT409, also for a job that was cancelled, or PT404 if there is no such job, and lets go '
  'of this run''s advisory lock; PT400 in a transaction whose snapshot may be older than the '
  'lease.';
revoke all on function publish.refuse_settling(text, bigint) from public;
