create or replace function publish.job_backoff(
  attempts int,
  backoff_min interval,
  backoff_max interval
) returns interval
language sql
immutable
parallel safe
as $$
  select least(extract(epoch from job_backoff.backoff_min)::float8
                 * power(2::float8, greatest(0, least(job_backoff.attempts, 63) - 1)),
               extract(epoch from job_backoff.backoff_max)::float8) * interval '1 second'
$$;
comment on function publish.job_backoff(int, interval, interval) is
  'How long a job waits after its nth attempt failed: backoff_min, doubled each time, at most '
  'backoff_max.';
revoke all on function publish.job_backoff(int, interval, interval) from public;
