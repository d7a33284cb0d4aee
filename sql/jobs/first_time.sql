create or replace function publish.first_time(cron text, time_zone text) returns timestamptz
language plpgsql
stable
as $$
declare
  v_first timestamptz;
begin
  if not exists (
       select from pg_catalog.pg_timezone_names z where z.name = first_time.time_zone) then
    raise exception 'no such time zone' using
      errcode = 'PT400',
      detail = format('time zone %L', left(first_time.time_zone, 60)),
      hint = 'Pass one of pg_timezone_names, such as ''Europe/Berlin''.';
  end if;
  v_first := publish.cron_next(cron => first_time.cron, time_zone => first_time.time_zone,
                               after => clock_timestamp());
  if v_first is null then
    raise exception 'this time never comes' using
      errcode = 'PT400',
      detail = format('cron %L', first_time.cron),
      hint = 'Check day and month: the 30th of February does not come.';
  end if;
  return v_first;
end
$$;
comment on function publish.first_time(text, text) is
  'The next time of a cron expression. Errors: PT400 it is none, it stands for no time, or no such '
  'time zone.';
revoke all on function publish.first_time(text, text) from public;
