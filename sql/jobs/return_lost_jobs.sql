-- One statement takes its snapshot before it reads pg_locks, and a start takes its lock before it
-- commits: a run that is seen as running without its lock is over. What another session settles or
-- starts at this moment is skipped; the token says that it is still the same run.
create or replace function publish.return_lost_jobs(kinds text[], id text default null) returns int
language sql
set enable_seqscan = off
as $$
  with running as materialized (
    select j.id, j.token, j.due_at > clock_timestamp() as unlocked
      from publish.job j
     where j.status = 'running'
       and (j.kind = any (return_lost_jobs.kinds) or j.id = return_lost_jobs.id)
       and (j.due_at <= clock_timestamp()
            or j.pid is not null
               and (j.pid, publish.job_lock(j.token)::bigint::oid) not in (
                 select l.pid, l.objid
                   from pg_catalog.pg_locks l
                   join pg_catalog.pg_database d on d.oid = l.database
                  where l.locktype = 'advisory' and l.classid = 1886741101 and l.objsubid = 2
                    and l.granted and d.datname = current_database()))
  ),
  lost as materialized (
    select j.id, j.attempts, j.worker, j.started_at, r.unlocked,
           j.saved_at >= j.started_at as saved,
           j.attempts >= j.max_attempts
             and (j.saved_at >= j.started_at) is not true as exhausted
      from publish.job j
      join running r on r.id = j.id
     where j.token = r.token and j.status = 'running'
       and (r.unlocked or j.due_at <= clock_timestamp())
       for no key update of j skip locked
  ),
  written as (
    insert into publish.job_error (id, attempt, error, message, worker)
    select l.id, l.attempts, 'lost',
           case when l.unlocked then 'its session ended' else 'its lease ran out' end, l.worker
      from lost l
  ),
  returned as (
    update publish.job j
       set status = case when l.exhausted then 'ignored' else 'failed' end,
           attempts = j.attempts - case when l.saved then 1 else 0 end,
           due_at = case when l.exhausted then null else clock_timestamp() end,
           finished_at = case when l.exhausted then clock_timestamp() end
      from lost l
     where j.id = l.id
    returning 1
  )
  select count(*)::int from returned
$$;
comment on function publish.return_lost_jobs(text[], text) is
  'Runs of these kinds, or of this job, whose lease ran out or whose session, and with it their '
  'advisory lock, is gone: failed with error "lost", and due at once. One that saved no data '
  'counts as an attempt; when it was the last, the job is ignored. Returns how many.';
revoke all on function publish.return_lost_jobs(text[], text) from public;
