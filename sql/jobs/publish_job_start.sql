-- Waits for nobody: a row that another session is starting or settling is passed over, or refused
-- as locked. The session advisory lock, where one can be held, is taken before the start is seen.
-- It is a new one for each start, so that a run presumed dead cannot stand in the next one's way.
-- Looking for lost runs means reading all locks: done when nothing else is due, and now and then.
create or replace function public.publish_job_start(
  inout id text default null,
  kinds text[] default null,
  worker text default null,
  lease interval default interval '1 minute',
  client_pid int default null,
  out kind text,
  out data jsonb,
  out token bigint,
  out attempt int,
  out max_attempts int
) returns setof record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
rows 1
as $$
declare
  v_job publish.job;
begin
  if (publish_job_start.id is null) = (publish_job_start.kinds is null)
     or array_position(publish_job_start.kinds, null) is not null
     or cardinality(publish_job_start.kinds) = 0 then
    raise exception 'pass either id or kinds' using
      errcode = 'PT400',
      detail = format('id %L, kinds %s', left(publish_job_start.id, 60),
                      coalesce(publish_job_start.kinds::text, 'null')),
      hint = 'As in publish_job_start(kinds => ''{invoice}'', worker => ''w1'').';
  end if;
  if (publish_job_start.lease between interval '1 millisecond' and interval '1 year') is not true
  then
    raise exception 'lease must be above 0 and at most a year' using
      errcode = 'PT400',
      detail = format('lease %s', coalesce(publish_job_start.lease::text, 'null')),
      hint = 'Leave it out for a minute, and extend it with publish_job_beat.';
  end if;

  publish_job_start.token := nextval('publish.job_token_seq');
  if publish_job_start.id is not null then
    perform publish.check_job_id(publish_job_start.id);
    perform publish.return_lost_jobs(null, publish_job_start.id);
    v_job := publish.lock_job_to_start(publish_job_start.id);
  else
    if publish_job_start.token % 64 = 0 then
      perform publish.return_lost_jobs(publish_job_start.kinds);
    end if;
    v_job := publish.next_job(publish_job_start.kinds);
    if v_job.id is null and publish.return_lost_jobs(publish_job_start.kinds) > 0 then
      v_job := publish.next_job(publish_job_start.kinds);
    end if;
    if v_job.id is null then
      return;
    end if;
  end if;

  v_job.pid := null;
  if publish_job_start.client_pid = pg_backend_pid() then
    if pg_try_advisory_lock(1886741101, publish.job_lock(publish_job_start.token)) then
      v_job.pid := pg_backend_pid();
    end if;
  end if;
  update publish.job j
     set status = 'running',
         attempts = v_job.attempts + 1,
         due_at = clock_timestamp() + publish_job_start.lease,
         token = publish_job_start.token,
         pid = v_job.pid,
         worker = coalesce(publish_job_start.worker, current_setting('application_name')),
         lease = publish_job_start.lease,
         started_at = clock_timestamp(),
         beat_at = null,
         saved_at = null,
         finished_at = null
   where j.id = v_job.id;
  publish_job_start.id := v_job.id;
  publish_job_start.kind := v_job.kind;
  publish_job_start.data := v_job.data;
  publish_job_start.attempt := v_job.attempts + 1;
  publish_job_start.max_attempts := v_job.max_attempts;
  return next;
end
$$;
comment on function public.publish_job_start(text, text[], text, interval, int) is
  'Starts a job, or the next one of these kinds that is due, and returns it with its fencing '
  'token; no row if none is due. Of the due ones the highest priority goes first, then the longest '
  'due. Keep it with publish_job_beat before the lease ends. Pass as client_pid the backend''s pid '
  'as your driver was told it: if it is this backend''s, the connection is direct, and the session '
  'holds advisory lock (1886741101, publish.job_lock(token)) until it settles or ends. A job whose '
  'lease ran out, or whose lock is gone, is taken over. '
  'By id a job starts before its time, and again after it succeeded. '
  'Errors: PT404 no such job, PT410 it is ignored, PT423 somebody else runs it, PT400 bad '
  'argument.';
revoke all on function public.publish_job_start(text, text[], text, interval, int) from public;
grant execute on function public.publish_job_start(text, text[], text, interval, int)
  to publish_worker, publish_admin;
