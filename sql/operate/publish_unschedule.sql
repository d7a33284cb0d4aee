create or replace function public.publish_unschedule() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_statement text;
  v_count int;
begin
  perform publish.check_cron();
  select s into v_statement from publish.cron_sql('unschedule') s;
  execute v_statement;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function public.publish_unschedule() is
  'Removes the jobs that publish_schedule made for the calling role, and returns how many. '
  'Errors: PT404 pg_cron is not in this database, 42501 no right to use it.';
revoke all on function public.publish_unschedule() from public;
grant execute on function public.publish_unschedule() to publish_worker, publish_admin;
