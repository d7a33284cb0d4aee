create or replace function publish.check_job(job publish.job) returns void
language plpgsql
stable
as $$
begin
  perform publish.check_job_id((check_job.job).id);
  if coalesce(octet_length((check_job.job).kind), 0) not between 1 and 200 then
    raise exception 'kind must be 1 to 200 bytes' using
      errcode = 'PT400',
      detail = format('job %L, kind of %s bytes', (check_job.job).id,
                      coalesce(octet_length((check_job.job).kind)::text, 'null')),
      hint = 'Name what sort of work this is; a worker asks for jobs by kind.';
  end if;
  if ((check_job.job).priority between 0 and 100) is not true then
    raise exception 'priority must be 0 to 100' using
      errcode = 'PT400',
      detail = format('job %L, priority %s', (check_job.job).id,
                      coalesce((check_job.job).priority::text, 'null')),
      hint = 'Pass 0 for the ordinary, more for what is to go first.';
  end if;
  if coalesce((check_job.job).max_attempts, 0) < 1 then
    raise exception 'max_attempts must be 1 or more' using
      errcode = 'PT400',
      detail = format('job %L, max_attempts %s', (check_job.job).id,
                      coalesce((check_job.job).max_attempts::text, 'null')),
      hint = 'Leave it out for 10.';
  end if;
  if (interval '0' < (check_job.job).backoff_min
      and (check_job.job).backoff_min <= (check_job.job).backoff_max
      and (check_job.job).backoff_max <= interval '1 year') is not true then
    raise exception 'backoff_min must be above 0 and at most backoff_max' using
      errcode = 'PT400',
      detail = format('job %L, backoff_min %s, backoff_max %s', (check_job.job).id,
                      coalesce((check_job.job).backoff_min::text, 'null'),
                      coalesce((check_job.job).backoff_max::text, 'null')),
      hint = 'Leave them out for 10 seconds and 1 hour; a year is the most.';
  end if;
  if (check_job.job).due_at < '1000-01-01 UTC' or (check_job.job).due_at >= '9001-01-01 UTC' then
    raise exception 'run_at must be in the years 1000 to 9000' using
      errcode = 'PT400',
      detail = format('job %L, run_at %s', (check_job.job).id, (check_job.job).due_at),
      hint = 'Leave it out to run the job as soon as can be.';
  end if;
  perform publish.check_job_data((check_job.job).id, (check_job.job).data);
end
$$;
comment on function publish.check_job(publish.job) is
  'Errors: PT400 an id, kind, data, due_at, priority, max_attempts or backoff that no job can '
  'have.';
revoke all on function publish.check_job(publish.job) from public;
