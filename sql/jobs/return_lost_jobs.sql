-- One statement takes its snapshot before it reads pg_locks, and a start takes its lock before it
-- commits: a run that is seen as running without its lock is over. What another session settles or
-- starts at this moment is skipped; the token says that it is still the same run.
-- Lost runs are started ever further apart, also if they saved: a job that kills its workers must
-- not keep them busy. What ran for longer than that wait goes on at once.
create or replace function publish.return_lost_jobs(kinds text[], id text default null) returns int
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_returned int;
begin
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
    select j.id, j.attempts, j.worker, r.unlocked, j.attempts >= j.max_attempts as exhausted
      from publish.job j
      join running r on r.id = j.id
     where j.token = r.token and j.status = 'running'
       and (r.unlocked or j.due_at <= clock_timestamp())
       for no key update of j skip locked
  ),
  written as (
    insert into publish.job_error (id, attempt, error, message, worker)
    select l.id, greatest(l.attempts, 1), 'lost',
           case when l.unlocked then 'its session ended' else 'its lease ran out' end, l.worker
      from lost l
  )
  update publish.job j
     set status = case when l.exhausted then 'ignored' else 'failed' end,
         setbacks = j.setbacks + 1,
         due_at = case
           when l.exhausted then null
           when j.setbacks = 0 then clock_timestamp()
           else greatest(clock_timestamp(),
                         j.started_at + publish.backoff(
                           attempts => j.setbacks, backoff_min => j.backoff_min,
                           backoff_max => j.backoff_max)) end,
         finished_at = case when l.exhausted then clock_timestamp() end
    from lost l
   where j.id = l.id;
  get diagnostics v_returned = row_count;
  return v_returned;
end
$$;
comment on function publish.return_lost_jobs(text[], text) is
  'Runs of these kinds, or of this job, whose lease ran out or whose session, and with it their '
  'advisory lock, is gone: failed with error "lost"; ignored if max_attempts were started since '
  'the last progress. The first since the last success is due at once; after that a start comes '
  'at the earliest the backoff of that many setbacks after the last start. Returns how many.';
revoke all on function publish.return_lost_jobs(text[], text) from public;
