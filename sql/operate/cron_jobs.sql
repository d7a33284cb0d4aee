create or replace function publish.cron_jobs(every interval)
returns table (name text, schedule text, command text, is_here boolean)
language plpgsql
stable
as $$
declare
  v_name text := format('pgpublish %s', left(current_database(), 40));
  v_seconds numeric := extract(epoch from cron_jobs.every);
begin
  if (v_seconds between 1 and 60 and v_seconds = trunc(v_seconds)) is not true then
    raise exception 'a schedule is each minute, or each few seconds' using
      errcode = 'PT400',
      detail = format('every %s', coalesce(cron_jobs.every::text, 'null')),
      hint = 'Pass ''1 minute'', which publishes within a second, or 1 to 59 seconds.';
  end if;
  if v_seconds = 60 then
    return query values
      (v_name, '* * * * *', 'call public.publish_run(interval ''55 s'', 500)', true);
  else
    return query values
      (v_name, format('%s seconds', v_seconds::int), 'select public.publish_drain(500)', true),
      (v_name || ' maintain', '* * * * *', 'select public.publish_maintain(10000)', true);
  end if;
  return query values (
    v_name || ' purge', '17 3 * * *',
    'delete from cron.job_run_details d where d.end_time < now() - interval ''7 days'''
    ' and d.jobid in (select j.jobid from cron.job j where starts_with(j.jobname, '
    || quote_literal(v_name) || '))', false);
end
$$;
comment on function publish.cron_jobs(interval) is
  'The jobs of pg_cron that publish this database: each minute, or each 1 to 59 seconds; and one '
  'that purges their run log, in the database where pg_cron is (is_here false). '
  'Errors: PT400 another interval.';
revoke all on function publish.cron_jobs(interval) from public;
grant execute on function publish.cron_jobs(interval) to publish_worker, publish_admin;
