-- Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
create or replace function publish.retry_wait(
  attempts int,
  backoff_min interval,
  backoff_max interval
) returns interval
language sql
volatile
as $$
  select random() * least(retry_wait.backoff_max,
                          retry_wait.backoff_min * power(2, least(retry_wait.attempts, 30) - 1))
$$;
comment on function publish.retry_wait(int, interval, interval) is
  'A random wait after the nth failure: up to backoff_min, doubled each time, up to backoff_max.';
revoke all on function publish.retry_wait(int, interval, interval) from public;
