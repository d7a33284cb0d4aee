-- Waits for nobody: a row that another session is starting or settling is passed over, or refused
-- as locked. The session advisory lock, where one can be held, is taken before the start is seen.
-- It is a new one for each start, so that a run presumed dead cannot stand in the next one's way.
-- Looking for lost runs means reading all locks: done when nothing else is due, now and then, and
-- by id for the job itself, and for its kind if that is at its limit.
-- Its commit is flushed even where synchronous_commit is off: after a crash of the server another
-- run would get the token that a worker still holds.
-- A worker of one kind without a limit finds its job within the UPDATE, from publish.job_place on,
-- if one of the highest priority is due and no schedule is; else publish.next_job looks. Plans are
-- pinned to indexes: the table may be empty when a session plans.
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
set enable_bitmapscan = off
set jit = off
rows 1
as $$
declare
  v_id text;
  v_kind text := case when cardinality(publish_job_start.kinds) = 1
                      then publish_job_start.kinds[1] end;
  v_now timestamptz := clock_timestamp(); -- itself it would be no condition of an index
  v_pid int;
  v_place bigint[];
  v_from timestamptz;
  v_again boolean := false;
begin
  perform publish.check_start(id => publish_job_start.id, kinds => publish_job_start.kinds,
                              lease => publish_job_start.lease);
  publish_job_start.token := nextval('publish.job_token_seq');
  if publish_job_start.id is null and publish_job_start.token % 64 = 0 then
    perform publish.return_lost_jobs(publish_job_start.kinds);
  end if;
  loop
    if v_kind is not null then
      v_place := publish.job_place(kind => v_kind, again => v_again);
      v_from := timestamptz 'epoch' + v_place[3] * interval '1 microsecond';
    else
      v_id := case when publish_job_start.id is null
                   then publish.find_job(publish_job_start.kinds)
                   else publish.lock_job_to_start(publish_job_start.id) end;
      exit when v_id is null;
    end if;
    update publish.job j
       set status = 'running', attempts = j.attempts + 1,
           due_at = clock_timestamp() + publish_job_start.lease,
           token = publish_job_start.token,
           pid = case when publish_job_start.client_pid = pg_backend_pid()
                      then publish_job_start.client_pid end,
           worker = coalesce(publish_job_start.worker, current_setting('application_name')),
           lease = publish_job_start.lease,
           started_at = clock_timestamp(),
           beat_at = null, finished_at = null
     where j.id = case when v_id is not null then v_id else (
             select l.id
               from publish.job l
              where l.kind = v_kind and l.status in ('pending', 'failed')
                and l.priority = v_place[2]
                and l.due_at >= v_from and l.due_at <= v_now
                and not exists (
                  select from publish.job h
                   where h.kind = v_kind and h.status in ('pending', 'failed')
                     and h.priority > v_place[2])
                and not exists (select from publish.job_limit m where m.kind = v_kind)
                and not exists (select from publish.job_schedule s where s.next_at <= v_now)
              order by l.due_at
              limit 1
                for no key update skip locked) end
    returning j.id, j.kind, j.data, j.attempts, j.max_attempts, j.pid
         into publish_job_start.id, publish_job_start.kind, publish_job_start.data,
              publish_job_start.attempt, publish_job_start.max_attempts, v_pid;
    if found then
      perform publish.flush_at_commit();
      perform publish.limit_idle(publish_job_start.lease);
      if v_pid is not null
         and not pg_try_advisory_lock(1886741101, publish.job_lock(publish_job_start.token)) then
        -- Held by a run of 2^31 starts ago: then the lease decides.
        update publish.job j set pid = null where j.id = publish_job_start.id;
      end if;
      return next;
      exit;
    end if;
    if v_again or (v_place[1] < publish.microseconds(v_now)) is not true then -- just looked
      v_kind := null;
    end if;
    v_again := true;
  end loop;
end
$$;
comment on function public.publish_job_start(text, text[], text, interval, int) is
  'Starts a job, or the next one of these kinds that is due, and returns it with its fencing '
  'token; no row if none is due. Of the due ones the highest priority goes first, then the longest '
  'due; one that was due before others when its transaction committed may be passed over for a '
  'second. Keep it with publish_job_beat before the lease ends. Pass as client_pid the backend''s '
  'pid as your driver was told it: if it is this backend''s, the connection is direct, and the '
  'session holds advisory lock (1886741101, publish.job_lock(token)) until it settles or ends. A '
  'job whose lease ran out, or whose lock is gone, is taken over: by id at once, by kinds when '
  'nothing else of them is due, and at every 64th start. '
  'By id a job starts before its time, and again after it succeeded; no row if its last attempt '
  'was found lost, which makes it ignored. '
  'A start by kinds also adds the jobs of schedules that are due. '
  'Errors: PT404 no such job, PT410 it is ignored, PT423 somebody else runs it, its kind is at its '
  'limit, or another start of a limited kind is not committed yet: try again; PT400 bad argument.';
revoke all on function public.publish_job_start(text, text[], text, interval, int) from public;
grant execute on function public.publish_job_start(text, text[], text, interval, int)
  to publish_worker, publish_admin;
