-- Called by publish_job_done and publish_job_next, which let go of the lock.
create or replace function publish.end_job(id text, token bigint, data jsonb) returns boolean
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  v_held boolean;
  v_data jsonb;
  v_lease interval;
begin
  if end_job.data is not null then
    perform publish.check_job_data(end_job.id, end_job.data);
  end if;
  update publish.job j
     set status = 'succeeded',
         attempts = 0,
         setbacks = 0,
         round = j.round + 1,
         due_at = null,
         finished_at = clock_timestamp(),
         data = case when end_job.data is null then j.data else j.data || end_job.data end
   where j.id = end_job.id and j.token = end_job.token
     and j.status = 'running' and j.due_at > clock_timestamp()
  returning coalesce(j.pid = pg_backend_pid(), false), j.data, j.lease
       into v_held, v_data, v_lease;
  if not found then
    perform publish.refuse_settling(end_job.id, end_job.token);
  end if;
  if end_job.data is not null then
    perform publish.check_job_data(end_job.id, v_data);
  end if;
  perform publish.limit_idle(v_lease);
  return v_held;
end
$$;
comment on function publish.end_job(text, bigint, jsonb) is
  'The job succeeded, as publish_job_done says. Whether this session has the advisory lock of the '
  'run still to release. Errors: those of publish_job_done.';
revoke all on function publish.end_job(text, bigint, jsonb) from public;
