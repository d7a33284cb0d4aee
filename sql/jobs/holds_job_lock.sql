create or replace function publish.holds_job_lock(pid int, token bigint) returns boolean
language sql
as $$
  select exists (
    select
      from pg_catalog.pg_locks l
      join pg_catalog.pg_database d on d.oid = l.database
     where l.locktype = 'advisory' and l.classid = 1886741101 and l.objsubid = 2 and l.granted
       and l.pid = holds_job_lock.pid
       and l.objid = publish.job_lock(holds_job_lock.token)::bigint::oid
       and d.datname = current_database())
$$;
comment on function publish.holds_job_lock(int, bigint) is
  'Whether this backend still holds the advisory lock of this run.';
revoke all on function publish.holds_job_lock(int, bigint) from public;
