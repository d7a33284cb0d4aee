create or replace function public.publish_job_steps(
  id text,
  out name text,
  out result jsonb,
  out at timestamptz
) returns setof record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
rows 10
as $$
begin
  if not exists (select from publish.job j where j.id = publish_job_steps.id) then
    raise exception 'no such job' using
      errcode = 'PT404',
      detail = format('job %L', left(publish_job_steps.id, 60)),
      hint = 'List them: select * from publish_jobs().';
  end if;
  return query
    select s.name, s.result, s.at
      from publish.job_step s
     where s.id = publish_job_steps.id
     order by s.at, s.name;
end
$$;
comment on function public.publish_job_steps(text) is
  'The steps that a job has done and what they returned, in order; after success those of the run '
  'that succeeded, until it runs again. Errors: PT404 no such job.';
revoke all on function public.publish_job_steps(text) from public;
grant execute on function public.publish_job_steps(text) to publish_worker, publish_admin;
