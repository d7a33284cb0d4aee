create or replace function public.publish_job_errors(
  id text,
  batch int default 100,
  out attempt int,
  out at timestamptz,
  out error text,
  out message text,
  out traceback text,
  out worker text
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
  perform publish.check_batch(publish_job_errors.batch);
  if not exists (select from publish.job j where j.id = publish_job_errors.id) then
    raise exception 'no such job' using
      errcode = 'PT404',
      detail = format('job %L', left(publish_job_errors.id, 60)),
      hint = 'List them: select * from publish_jobs().';
  end if;
  return query
    select e.attempt, e.at, e.error, e.message, e.traceback, e.worker
      from publish.newest_errors(publish_job_errors.id, publish_job_errors.batch) e;
end
$$;
comment on function public.publish_job_errors(text, int) is
  'All failures of a job, the newest first, at most batch. Errors: PT404 no such job, PT400 '
  'batch below 1.';
revoke all on function public.publish_job_errors(text, int) from public;
grant execute on function public.publish_job_errors(text, int) to publish_worker, publish_admin;
