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
  backoff_max interval default interval '1 hour',
  unique_for interval default null
) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_job publish.job;
begin
  v_job.id := publish_job_add.id;
  v_job.kind := publish_job_add.kind;
  v_job.data := publish_job_add.data;
  v_job.due_at := coalesce(publish_job_add.run_at, clock_timestamp());
  v_job.priority := least(greatest(publish_job_add.priority, -1), 101);
  v_job.max_attempts := publish_job_add.max_attempts;
  v_job.backoff_min := publish_job_add.backoff_min;
  v_job.backoff_max := publish_job_add.backoff_max;
  perform publish.check_job(v_job);
  if publish_job_add.unique_for not between interval '0' and interval '1000 years' then
    raise exception 'unique_for must be 0 to 1000 years' using
      errcode = 'PT400',
      detail = format('job %L, unique_for %s', v_job.id, publish_job_add.unique_for),
      hint = 'Leave it out to add a job of this id once.';
  end if;
  -- An INSERT that meets a row waits for the transaction that is just saving that job.
  if exists (select from publish.job j where j.id = v_job.id) then
    if publish.add_job_again(v_job, publish_job_add.unique_for) then
      return true;
    elsif publish_job_add.unique_for is null
          or exists (select from publish.job j where j.id = v_job.id) then
      return false;
    end if; -- it was pruned while the old one was waited for
  end if;
  insert into publish.job
    (id, kind, data, due_at, priority, max_attempts, backoff_min, backoff_max)
  values (v_job.id, v_job.kind, v_job.data, v_job.due_at, v_job.priority, v_job.max_attempts,
          v_job.backoff_min, v_job.backoff_max)
      on conflict on constraint job_pkey do nothing;
  return found;
end
$$;
comment on function public.publish_job_add(text, text, jsonb, timestamptz, int, int, interval,
                                           interval, interval) is
  'Adds a job in the caller''s transaction, to be started at run_at or as soon as can be. True; '
  'false if there is a job of this id, which stays as it is. unique_for: a job of this id that was '
  'added longer ago, and has ended, is replaced. data: a JSON object of at most 1 MB. '
  'priority: 0 to 100, the highest goes first. After a failure it waits backoff_min, then twice '
  'that, up to backoff_max; after max_attempts it is ignored. Errors: PT400 bad argument.';
revoke all on function public.publish_job_add(text, text, jsonb, timestamptz, int, int, interval,
                                              interval, interval) from public;
grant execute on function public.publish_job_add(text, text, jsonb, timestamptz, int, int, interval,
                                                 interval, interval)
  to publish_writer, publish_worker, publish_admin;
