create or replace function public.publish_job_unschedule(name text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  delete from publish.job_schedule s where s.name = publish_job_unschedule.name;
  if not found then
    raise exception 'no such schedule' using
      errcode = 'PT404',
      detail = format('schedule %L', left(publish_job_unschedule.name, 60)),
      hint = publish.near(publish_job_unschedule.name,
                          array(select s.name from publish.job_schedule s))
             || 'List them: select * from publish_job_schedules().';
  end if;
end
$$;
comment on function public.publish_job_unschedule(text) is
  'Ends a recurring job. Jobs that it has added stay. Errors: PT404 no such schedule.';
revoke all on function public.publish_job_unschedule(text) from public;
grant execute on function public.publish_job_unschedule(text) to publish_admin;
