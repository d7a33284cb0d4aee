create or replace function public.publish_job_done(id text, token bigint, data jsonb default null)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_held boolean;
  v_data jsonb;
begin
  if publish_job_done.data is not null then
    perform publish.check_job_data(publish_job_done.id, publish_job_done.data);
  end if;
  update publish.job j
     set status = 'succeeded',
         attempts = 0,
         setbacks = 0,
         round = j.round + 1,
         due_at = null,
         finished_at = clock_timestamp(),
         data = case when publish_job_done.data is null then j.data
                     else j.data || publish_job_done.data end
   where j.id = publish_job_done.id and j.token = publish_job_done.token
     and j.status = 'running' and j.due_at > clock_timestamp()
  returning coalesce(j.pid = pg_backend_pid(), false), j.data into v_held, v_data;
  if not found then
    perform publish.refuse_settling(publish_job_done.id, publish_job_done.token);
  end if;
  if publish_job_done.data is not null then
    perform publish.check_job_data(publish_job_done.id, v_data);
  end if;
  v_held := v_held
            and pg_advisory_unlock(1886741101, publish.job_lock(publish_job_done.token));
end
$$;
comment on function public.publish_job_done(text, bigint, jsonb) is
  'The job succeeded: data, a JSON object, is merged into its own, its attempts are forgotten, its '
  'lease and advisory lock are released. Errors: PT409 the lease ran out or another worker has the '
  'job, PT404 no such job, PT400 bad argument.';
revoke all on function public.publish_job_done(text, bigint, jsonb) from public;
grant execute on function public.publish_job_done(text, bigint, jsonb)
  to publish_worker, publish_admin;
