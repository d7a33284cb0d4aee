-- Computed here and not by a library of the worker's: who schedules in psql is refused a bad
-- expression at once, and a worker in any language runs it. tests/jobs/test_cron.py compares it
-- with cronsim. Shifts of the clock are met as Debian's cron does:
-- - minute or hour begins with *: by the clock of time, so twice in an hour that comes twice, and
--   never in one that is left out;
-- - else by the clock on the wall, once: at the first of two, and right after what is left out.
create or replace function publish.cron_next(cron text, time_zone text, after timestamptz)
returns timestamptz
language plpgsql
stable
set timezone = 'UTC'
as $$
declare
  v_field text[] := regexp_split_to_array(btrim(cron_next.cron), '[[:space:]]+');
  v_minutes int[] := publish.cron_field(field => v_field[1], low => 0, high => 59, names => null);
  v_hours int[] := publish.cron_field(field => v_field[2], low => 0, high => 23, names => null);
  v_days int[] := publish.cron_field(field => v_field[3], low => 1, high => 31, names => null);
  v_months int[] := publish.cron_field(
    field => v_field[4], low => 1, high => 12,
    names => '{JAN,FEB,MAR,APR,MAY,JUN,JUL,AUG,SEP,OCT,NOV,DEC}');
  v_weekdays int[] := publish.cron_field(
    field => v_field[5], low => 0, high => 7, names => '{SUN,MON,TUE,WED,THU,FRI,SAT}');
  v_elapsed boolean := v_field[1] like '*%' or v_field[2] like '*%';
  v_both boolean := v_field[3] like '*%' or v_field[5] like '*%'; -- day and weekday must match
  -- The clock on the wall was never put back by more than this.
  v_since timestamp := cron_next.after at time zone cron_next.time_zone - interval '3 hours';
  v_day timestamp;
  v_next timestamptz;
begin
  if cardinality(v_field) <> 5 or num_nulls(v_minutes, v_hours, v_days, v_months, v_weekdays) > 0
  then
    raise exception 'this is not a cron expression' using
      errcode = 'PT400',
      detail = format('cron %L', left(cron_next.cron, 60)),
      hint = 'Pass minute, hour, day of month, month and day of week, as in ''30 3 * * mon-fri''.';
  end if;
  for v_day in
    select d.day
      from generate_series(date_trunc('day', v_since), v_since + interval '30 years',
                           interval '1 day') as d (day)
     cross join lateral (
       select extract(day from d.day) = any (v_days),
              array[extract(dow from d.day), extract(isodow from d.day)]::int[] && v_weekdays
     ) as m (by_day, by_weekday)
     where extract(month from d.day) = any (v_months)
       and case when v_both then m.by_day and m.by_weekday else m.by_day or m.by_weekday end
  loop
    select min(t.at) into v_next
      from (select l.local
              from unnest(v_hours) as h (hour)
             cross join unnest(v_minutes) as m (minute)
             cross join lateral (
               select v_day + make_interval(hours => h.hour, mins => m.minute)) as l (local)
             where l.local >= v_since
             order by l.local
             limit 400) l -- minutes: more than is needed to get past after
     cross join lateral publish.clock_times(
       local => l.local, time_zone => cron_next.time_zone, elapsed => v_elapsed) as t (at)
     where t.at > cron_next.after;
    exit when v_next is not null;
  end loop;
  return v_next;
end
$$;
comment on function publish.cron_next(text, text, timestamptz) is
  'The first time after this one that a cron expression of five fields stands for in a time zone; '
  'null: none in the next 30 years. Errors: PT400 it is no cron expression; 22023 no such time '
  'zone.';
revoke all on function publish.cron_next(text, text, timestamptz) from public;
