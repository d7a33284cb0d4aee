create or replace function publish.check_schedule(name text, missed text) returns void
language plpgsql
immutable
as $$
begin
  if coalesce(octet_length(check_schedule.name), 0) not between 1 and 400 then
    raise exception 'a schedule''s name must be 1 to 400 bytes' using
      errcode = 'PT400',
      detail = format('name of %s bytes: %L',
                      coalesce(octet_length(check_schedule.name)::text, 'null'),
                      left(check_schedule.name, 60)),
      hint = 'Its jobs have the id name@time: pass a name as in nightly-report.';
  end if;
  if (check_schedule.missed in ('once', 'each')) is not true then
    raise exception 'missed must be once or each' using
      errcode = 'PT400',
      detail = format('schedule %L, missed %L', left(check_schedule.name, 60),
                      check_schedule.missed),
      hint = 'Pass once for one job of all times that no worker saw, each for a job of each.';
  end if;
end
$$;
comment on function publish.check_schedule(text, text) is
  'Errors: PT400 a name or missed that is none.';
revoke all on function publish.check_schedule(text, text) from public;
