-- What a worker calls between two jobs: one round trip and one commit instead of two. The session's
-- advisory lock goes last: an error in the start undoes the end of the run, but would not bring the
-- lock back, and who looks for lost runs would take the job over.
create or replace function public.publish_job_next(
  inout id text,
  inout token bigint,
  inout data jsonb default null,
  kinds text[] default null,
  worker text default null,
  lease interval default interval '1 minute',
  client_pid int default null,
  out kind text,
  out attempt int,
  out max_attempts int
) returns setof record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
rows 1
as $$
declare
  v_held boolean;
begin
  v_held := publish.end_job(id => publish_job_next.id, token => publish_job_next.token,
                            data => publish_job_next.data);
  return query
    select s.id, s.token, s.data, s.kind, s.attempt, s.max_attempts
      from public.publish_job_start(
             id => null::text, kinds => publish_job_next.kinds, worker => publish_job_next.worker,
             lease => publish_job_next.lease, client_pid => publish_job_next.client_pid) s;
  if v_held then
    perform pg_advisory_unlock(1886741101, publish.job_lock(publish_job_next.token));
  end if;
end
$$;
comment on function public.publish_job_next(text, bigint, jsonb, text[], text, interval, int) is
  'publish_job_done(id, token, data), then publish_job_start of the next job of these kinds, in '
  'one transaction. Returns the job started, no row if none is due. '
  'If either is refused, neither is done. '
  'Errors: those of publish_job_done and of publish_job_start.';
revoke all on function public.publish_job_next(text, bigint, jsonb, text[], text, interval, int)
  from public;
grant execute on function public.publish_job_next(text, bigint, jsonb, text[], text, interval, int)
  to publish_worker, publish_admin;
