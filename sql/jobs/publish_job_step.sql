-- The row of the job is locked first: a run that has lost its job keeps nothing, and no other run
-- begins before this transaction ends. Steps of rounds before this one are removed on the way.
-- Keeping a step that is kept is no progress: a client that asks in vain and keeps it again in each
-- run would never be given up.
create or replace function public.publish_job_step(
  id text,
  token bigint,
  name text,
  result jsonb default null
) returns jsonb
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_round bigint;
  v_result jsonb;
  v_lease interval;
begin
  if coalesce(octet_length(publish_job_step.name), 0) not between 1 and 200 then
    raise exception 'a step''s name must be 1 to 200 bytes' using
      errcode = 'PT400',
      detail = format('job %L, name of %s bytes', left(publish_job_step.id, 60),
                      coalesce(octet_length(publish_job_step.name)::text, 'null')),
      hint = 'Name each step of a job once, as in charge or mail:42.';
  end if;
  if octet_length(publish_job_step.result::text) > 1048576 then
    raise exception 'a step''s result must be at most 1 MB' using
      errcode = 'PT400',
      detail = format('job %L, step %L, result of %s bytes', left(publish_job_step.id, 60),
                      publish_job_step.name, octet_length(publish_job_step.result::text)),
      hint = 'Keep what is large in a table of yours, and its key in the result.';
  end if;
  if publish_job_step.result is null then
    select j.round into v_round
      from publish.job j
     where j.id = publish_job_step.id and j.token = publish_job_step.token
       and j.status = 'running' and j.due_at > clock_timestamp();
  else
    update publish.job j
       set due_at = clock_timestamp() + j.lease, beat_at = clock_timestamp(),
           attempts = case when exists (
                        select
                          from publish.job_step s
                         where s.id = j.id and s.round = j.round
                           and s.name = publish_job_step.name)
                      then j.attempts else 0 end
     where j.id = publish_job_step.id and j.token = publish_job_step.token
       and j.status = 'running' and j.due_at > clock_timestamp()
    returning j.round, j.lease into v_round, v_lease;
  end if;
  if v_round is null then
    perform publish.refuse_settling(publish_job_step.id, publish_job_step.token);
  end if;
  if publish_job_step.result is not null then
    perform publish.limit_idle(v_lease);
    delete from publish.job_step s where s.id = publish_job_step.id and s.round < v_round;
    insert into publish.job_step (id, round, name, result)
    values (publish_job_step.id, v_round, publish_job_step.name, publish_job_step.result)
        on conflict on constraint job_step_pkey do nothing;
  end if;
  select s.result into v_result
    from publish.job_step s
   where s.id = publish_job_step.id and s.round = v_round and s.name = publish_job_step.name;
  return v_result;
end
$$;
comment on function public.publish_job_step(text, bigint, text, jsonb) is
  'Without result: what this step of the running job returned before, null if it was not done. '
  'With it: keeps the result, JSON of at most 1 MB, and returns what is kept, the first if there '
  'was one; that extends the lease, and is progress if the step was not kept before. A job that '
  'succeeded and runs again does its steps again. Errors: PT409 the lease ran out or another '
  'worker has the job, PT404 no such job, PT400 bad argument.';
revoke all on function public.publish_job_step(text, bigint, text, jsonb) from public;
grant execute on function public.publish_job_step(text, bigint, text, jsonb)
  to publish_worker, publish_admin;
