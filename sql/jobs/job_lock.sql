create or replace function publish.job_lock(token bigint) returns int
language sql
immutable
parallel safe
as $$
  select (job_lock.token & 2147483647)::int
$$;
comment on function publish.job_lock(bigint) is
  'Object of a run''s session advisory lock, in class 1886741101: (1886741101, job_lock(token)).';
revoke all on function publish.job_lock(bigint) from public;
