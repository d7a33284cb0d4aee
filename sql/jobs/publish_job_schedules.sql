create or replace function public.publish_job_schedules(
  out name text,
  out kind text,
  out cron text,
  out time_zone text,
  out missed text,
  out next_at timestamptz,
  out last_at timestamptz,
  out fault text,
  out priority int,
  out max_attempts int,
  out data jsonb
) returns setof record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
rows 10
as $$
begin
  return query
    select s.name, s.kind, s.cron, s.time_zone, s.missed, s.next_at, s.last_at, s.fault,
           s.priority::int, s.max_attempts, s.data
      from publish.job_schedule s
     order by s.name;
end
$$;
comment on function public.publish_job_schedules() is
  'Recurring jobs. fault: why there is no next time; schedule it again to try once more.';
revoke all on function public.publish_job_schedules() from public;
grant execute on function public.publish_job_schedules() to publish_worker, publish_admin;
