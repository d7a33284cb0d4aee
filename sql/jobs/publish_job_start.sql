-- Waits for nobody: a row that another session is starting or settling is passed over, or refused
-- as locked. The session advisory lock, where one can be held, is taken before the start is seen.
-- It is a new one for each start, so that a run presumed dead cannot stand in the next one's way.
-- Looking for lost runs means reading all locks: done when nothing else is due, and now and then.
-- Each look for a job is a range of one kind, one priority and what is due, so that neither jobs of
-- later nor finished ones cost anything. Plans are pinned to indexes: the table may be empty when a
-- session plans.
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
  v_id text := publish_job_start.id;
  v_kinds text[] := coalesce(publish_job_start.kinds, '{""}');
  v_kind text;
  v_priority int;
  v_below int := 101; -- only jobs of a lower priority have not been looked at
  v_looked boolean := false;
  v_now timestamptz := clock_timestamp();
  v_pid int;
begin
  if (publish_job_start.id is null) = (publish_job_start.kinds is null)
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
  if v_id is not null then
    perform publish.check_job_id(v_id);
    v_looked := publish.return_lost_jobs(null, v_id) > 0;
    if v_looked and exists (
         select from publish.job j where j.id = v_id and j.status = 'ignored') then
      return; -- an error would undo the verdict
    end if;
    perform publish.lock_job_to_start(v_id);
  elsif publish_job_start.token % 64 = 0 then
    perform publish.return_lost_jobs(v_kinds);
  end if;
  loop
    if cardinality(publish_job_start.kinds) > 1 then
      select d.priority, d.priority + 1, d.kinds into v_priority, v_below, v_kinds
        from publish.due_kinds(publish_job_start.kinds, v_below) d;
    end if;
    foreach v_kind in array v_kinds loop
      update publish.job j
         set status = 'running',
             attempts = j.attempts + 1,
             due_at = clock_timestamp() + publish_job_start.lease,
             token = publish_job_start.token,
             pid = case when publish_job_start.client_pid = pg_backend_pid()
                        then publish_job_start.client_pid end,
             worker = coalesce(publish_job_start.worker, current_setting('application_name')),
             lease = publish_job_start.lease,
             started_at = clock_timestamp(),
             beat_at = null,
             finished_at = null
       where j.id = case when v_id is not null then v_id else (
               select l.id
                 from publish.job l
                where l.kind = v_kind and l.due_at <= v_now
                  and l.status in ('pending', 'failed')
                  and l.priority = (
                    select h.priority
                      from publish.job h
                     where h.kind = v_kind and h.priority < v_below
                       and h.status in ('pending', 'failed')
                     order by h.priority desc
                     limit 1)
                order by l.due_at
                limit 1
                  for no key update skip locked) end
      returning j.id, j.kind, j.data, j.attempts, j.max_attempts, j.pid
           into publish_job_start.id, publish_job_start.kind, publish_job_start.data,
                publish_job_start.attempt, publish_job_start.max_attempts, v_pid;
      if found then
        if v_pid is not null then
          if not pg_try_advisory_lock(1886741101, publish.job_lock(publish_job_start.token)) then
            -- Held by a run of 2^31 starts ago: then the lease decides.
            update publish.job j set pid = null where j.id = publish_job_start.id;
          end if;
        end if;
        return next;
        return;
      end if;
    end loop;
    if cardinality(publish_job_start.kinds) = 1 then
      select j.priority into v_priority
        from publish.job j
       where j.kind = v_kinds[1] and j.priority < v_below and j.status in ('pending', 'failed')
       order by j.priority desc
       limit 1;
    end if;
    v_below := v_priority;
    if v_below is null then
      if v_looked or publish.return_lost_jobs(publish_job_start.kinds) = 0 then
        return;
      end if;
      v_looked := true;
      v_now := clock_timestamp();
      v_below := 101;
    end if;
  end loop;
end
$$;
comment on function public.publish_job_start(text, text[], text, interval, int) is
  'Starts a job, or the next one of these kinds that is due, and returns it with its fencing '
  'token; no row if none is due. Of the due ones the highest priority goes first, then the longest '
  'due. Keep it with publish_job_beat before the lease ends. Pass as client_pid the backend''s pid '
  'as your driver was told it: if it is this backend''s, the connection is direct, and the session '
  'holds advisory lock (1886741101, publish.job_lock(token)) until it settles or ends. A job whose '
  'lease ran out, or whose lock is gone, is taken over. '
  'By id a job starts before its time, and again after it succeeded; no row if its last attempt '
  'was found lost, which makes it ignored. '
  'Errors: PT404 no such job, PT410 it is ignored, PT423 somebody else runs it, PT400 bad '
  'argument.';
revoke all on function public.publish_job_start(text, text[], text, interval, int) from public;
grant execute on function public.publish_job_start(text, text[], text, interval, int)
  to publish_worker, publish_admin;
