create or replace function publish.add_job_again(job publish.job, unique_for interval)
returns boolean
language plpgsql
as $$
begin
  if add_job_again.unique_for is null then
    return false;
  end if;
  update publish.job j
     set kind = (add_job_again.job).kind, status = 'pending', data = (add_job_again.job).data,
         due_at = (add_job_again.job).due_at, priority = (add_job_again.job).priority,
         max_attempts = (add_job_again.job).max_attempts,
         backoff_min = (add_job_again.job).backoff_min,
         backoff_max = (add_job_again.job).backoff_max,
         attempts = 0, setbacks = 0, round = j.round + 1, created_at = clock_timestamp(),
         started_at = null, beat_at = null, finished_at = null
   where j.id = (add_job_again.job).id and j.status in ('succeeded', 'ignored')
     and j.created_at <= clock_timestamp() - add_job_again.unique_for
     -- Not while the body of a cancelled run may be at work.
     and (coalesce(j.due_at, '-infinity') <= clock_timestamp()
          or j.pid is not null and not publish.holds_job_lock(j.pid, j.token));
  return found;
end
$$;
comment on function publish.add_job_again(publish.job, interval) is
  'Puts a new job in the place of one of its id that was added longer ago than unique_for and has '
  'ended. False if there is none. Its failures stay.';
revoke all on function publish.add_job_again(publish.job, interval) from public;
