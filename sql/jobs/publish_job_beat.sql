-- In a transaction of the caller's it holds the job's row to the end: what was done in that
-- transaction and the saved progress commit together, or not at all if the run has lost its job.
create or replace function public.publish_job_beat(
  id text,
  token bigint,
  data jsonb default null,
  lease interval default null,
  progress boolean default false
) returns timestamptz
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_job publish.job;
begin
  if publish_job_beat.data is not null then
    perform publish.check_job_data(publish_job_beat.id, publish_job_beat.data);
  end if;
  if (publish_job_beat.lease between interval '1 millisecond' and interval '1 year') is false then
    raise exception 'lease must be above 0 and at most a year' using
      errcode = 'PT400',
      detail = format('job %L, lease %s', left(publish_job_beat.id, 60), publish_job_beat.lease),
      hint = 'Leave it out for the one it was started with.';
  end if;
  if publish_job_beat.data is null then
    -- A heart beats for many jobs and must not wait for the transaction that saves one of them.
    perform
       from publish.job j
      where j.id = publish_job_beat.id
        for no key update skip locked;
    if not found and exists (
         select
           from publish.job j
          where j.id = publish_job_beat.id and j.token = publish_job_beat.token
            and j.status = 'running') then
      return null;
    end if;
  end if;
  update publish.job j
     set due_at = clock_timestamp() + coalesce(publish_job_beat.lease, j.lease),
         beat_at = clock_timestamp(),
         lease = coalesce(publish_job_beat.lease, j.lease),
         data = case when publish_job_beat.data is null then j.data
                     else j.data || publish_job_beat.data end,
         saved_at = case when publish_job_beat.data is null then j.saved_at
                         else clock_timestamp() end,
         attempts = case when publish_job_beat.progress
                              and (publish_job_beat.data is null
                                   or j.data || publish_job_beat.data <> j.data)
                         then 0 else j.attempts end
   where j.id = publish_job_beat.id and j.token = publish_job_beat.token
     and j.status = 'running' and j.due_at > clock_timestamp()
  returning j.* into v_job;
  if not found then
    perform publish.refuse_settling(publish_job_beat.id, publish_job_beat.token);
  end if;
  if publish_job_beat.data is not null then
    perform publish.check_job_data(publish_job_beat.id, v_job.data);
  end if;
  perform publish.limit_idle(v_job.lease);
  return v_job.due_at;
end
$$;
comment on function public.publish_job_beat(text, bigint, jsonb, interval, boolean) is
  'Extends the lease by lease (default: the last one given) and returns until when it runs now; '
  'null, without data, while another transaction holds the job''s row: ask again before it ends. '
  'data, a JSON object, is merged into the job''s: a later run goes on from it. progress: the job '
  'got further, so that the attempts until now are not counted any more; with data, only if that '
  'changes the job''s. '
  'In a transaction: a session that is idle in it for longer than the lease is ended from now on. '
  'Errors: PT409 the lease ran out or another worker has the job, PT404 no such job, PT400 bad '
  'argument.';
revoke all on function public.publish_job_beat(text, bigint, jsonb, interval, boolean) from public;
grant execute on function public.publish_job_beat(text, bigint, jsonb, interval, boolean)
  to publish_worker, publish_admin;
