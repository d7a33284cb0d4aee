-- Runs as its caller, whose jobs they become: pg_cron knows no right to schedule for another.
create or replace function public.publish_schedule(every interval default '1 minute')
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_statement text;
  v_count int := 0;
begin
  perform publish.check_cron(publish_schedule.every), public.publish_unschedule();
  for v_statement in
    select s from publish.cron_sql(action => 'schedule', every => publish_schedule.every) s
  loop
    execute v_statement;
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;
comment on function public.publish_schedule(interval) is
  'Has pg_cron drain and maintain this database as the calling role, and purge the run log of '
  'these jobs after seven days; returns how many jobs that takes. every: a minute, in which '
  'publish_run drains all the time, or 1 to 59 seconds, from pg_cron 1.5. Again: changes it. '
  'Errors: PT404 pg_cron is not in this database, PT400 bad interval, 42501 no right to use it.';
revoke all on function public.publish_schedule(interval) from public;
grant execute on function public.publish_schedule(interval) to publish_worker, publish_admin;
