create or replace function public.publish_job_schedule(
  name text,
  kind text,
  cron text,
  time_zone text default 'UTC',
  data jsonb default '{}',
  priority int default 0,
  max_attempts int default 10,
  missed text default 'once'
) returns timestamptz
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_job publish.job;
  v_next timestamptz;
begin
  v_job.id := publish_job_schedule.name || '@';
  v_job.kind := publish_job_schedule.kind;
  v_job.data := publish_job_schedule.data;
  v_job.priority := least(greatest(publish_job_schedule.priority, -1), 101);
  v_job.max_attempts := publish_job_schedule.max_attempts;
  v_job.backoff_min := interval '10 seconds';
  v_job.backoff_max := interval '1 hour';
  perform publish.check_schedule(publish_job_schedule.name, publish_job_schedule.missed);
  perform publish.check_job(v_job);
  v_next := publish.first_time(publish_job_schedule.cron, publish_job_schedule.time_zone);
  insert into publish.job_schedule as s
    (name, kind, cron, time_zone, data, priority, max_attempts, missed, next_at)
  values (publish_job_schedule.name, v_job.kind, publish_job_schedule.cron,
          publish_job_schedule.time_zone, v_job.data, v_job.priority, v_job.max_attempts,
          publish_job_schedule.missed, v_next)
      on conflict on constraint job_schedule_pkey do update
     set kind = excluded.kind, data = excluded.data, priority = excluded.priority,
         max_attempts = excluded.max_attempts, missed = excluded.missed, fault = null,
         cron = excluded.cron, time_zone = excluded.time_zone,
         next_at = case when (s.cron, s.time_zone) = (excluded.cron, excluded.time_zone)
                        then coalesce(s.next_at, excluded.next_at) else excluded.next_at end
  returning s.next_at into v_next;
  return v_next;
end
$$;
comment on function public.publish_job_schedule(text, text, text, text, jsonb, int, int, text) is
  'A recurring job: at each time of cron (minute, hour, day of month, month, day of week) in '
  'time_zone a job of this kind is added, by any worker that looks for a job. Its id is name@time, '
  'its data the schedule''s with the time as scheduled_at. missed, of times that no '
  'worker saw: once: one job, of the first; each: a job for each. Again with this name: changes '
  'the schedule; a time that is due stays due unless cron or time_zone is another. Returns the '
  'next time. Errors: PT400 bad argument.';
revoke all on function public.publish_job_schedule(text, text, text, text, jsonb, int, int, text)
  from public;
grant execute on function public.publish_job_schedule(text, text, text, text, jsonb, int, int, text)
  to publish_admin;
