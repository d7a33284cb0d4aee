-- One INSERT in the caller's transaction: the job exists if and when that commits. It waits only
-- for a transaction that is adding the same job.
create or replace function public.publish_job_add(
  id text,
  kind text,
  data jsonb default '{}',
  run_at timestamptz default null,
  priority int default 0,
  max_attempts int default 10,
  backoff_min interval default interval '10 seconds',
  backoff_max interval default interval '1 hour'
) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  perform publish.check_job_id(publish_job_add.id);
  if coalesce(octet_length(publish_job_add.kind), 0) not between 1 and 200 then
    raise exception 'kind must be 1 to 200 bytes' using
      errcode = 'PT400',
      detail = format('job %L, kind of %s bytes', publish_job_add.id,
                      coalesce(octet_length(publish_job_add.kind)::text, 'null')),
      hint = 'Name what sort of work this is; a worker asks for jobs by kind.';
  end if;
  if publish_job_add.priority is null or publish_job_add.priority not between 0 and 100 then
    raise exception 'priority must be 0 to 100' using
      errcode = 'PT400',
      detail = format('job %L, priority %s', publish_job_add.id,
                      coalesce(publish_job_add.priority::text, 'null')),
      hint = 'Pass 0 for the ordinary, more for what is to go first.';
  end if;
  if coalesce(publish_job_add.max_attempts, 0) < 1 then
    raise exception 'max_attempts must be 1 or more' using
      errcode = 'PT400',
      detail = format('job %L, max_attempts %s', publish_job_add.id,
                      coalesce(publish_job_add.max_attempts::text, 'null')),
      hint = 'Leave it out for 10.';
  end if;
  if (interval '0' < publish_job_add.backoff_min
      and publish_job_add.backoff_min <= publish_job_add.backoff_max
      and publish_job_add.backoff_max <= interval '1 year') is not true then
    raise exception 'backoff_min must be above 0 and at most backoff_max' using
      errcode = 'PT400',
      detail = format('job %L, backoff_min %s, backoff_max %s', publish_job_add.id,
                      coalesce(publish_job_add.backoff_min::text, 'null'),
                      coalesce(publish_job_add.backoff_max::text, 'null')),
      hint = 'Leave them out for 10 seconds and 1 hour; a year is the most.';
  end if;
  if publish_job_add.run_at < '1000-01-01 UTC' or publish_job_add.run_at >= '9001-01-01 UTC' then
    raise exception 'run_at must be in the years 1000 to 9000' using
      errcode = 'PT400',
      detail = format('job %L, run_at %s', publish_job_add.id, publish_job_add.run_at),
      hint = 'Leave it out to run the job as soon as can be.';
  end if;
  perform publish.check_job_data(publish_job_add.id, publish_job_add.data);
  -- An INSERT that meets a row waits for the transaction that is just saving that job.
  if exists (select from publish.job j where j.id = publish_job_add.id) then
    return false;
  end if;
  insert into publish.job
    (id, kind, data, due_at, priority, max_attempts, backoff_min, backoff_max)
  values (publish_job_add.id, publish_job_add.kind, publish_job_add.data,
          coalesce(publish_job_add.run_at, clock_timestamp()), publish_job_add.priority,
          publish_job_add.max_attempts, publish_job_add.backoff_min, publish_job_add.backoff_max)
      on conflict on constraint job_pkey do nothing;
  return found;
end
$$;
comment on function public.publish_job_add(text, text, jsonb, timestamptz, int, int, interval,
                                           interval) is
  'Adds a job in the caller''s transaction, to be started at run_at or as soon as can be. True; '
  'false if there is a job of this id, which stays as it is. data: a JSON object of at most 1 MB. '
  'priority: 0 to 100, the highest goes first. After a failure it waits backoff_min, then twice '
  'that, up to backoff_max; after max_attempts it is ignored. Errors: PT400 bad argument.';
revoke all on function public.publish_job_add(text, text, jsonb, timestamptz, int, int, interval,
                                              interval) from public;
grant execute on function public.publish_job_add(text, text, jsonb, timestamptz, int, int, interval,
                                                 interval)
  to publish_writer, publish_worker, publish_admin;
