-- A day before and a day after are on this side and on that side of a shift that comes near.
create or replace function publish.clock_times(local timestamp, time_zone text, elapsed boolean)
returns setof timestamptz
language plpgsql
stable
set timezone = 'UTC'
rows 1
as $$
declare
  v_utc timestamptz := clock_times.local at time zone 'UTC';
  v_first timestamptz := v_utc - greatest(
    (v_utc - interval '1 day') at time zone clock_times.time_zone at time zone 'UTC'
      - (v_utc - interval '1 day'),
    (v_utc + interval '1 day') at time zone clock_times.time_zone at time zone 'UTC'
      - (v_utc + interval '1 day'));
  v_last timestamptz := v_utc - least(
    (v_utc - interval '1 day') at time zone clock_times.time_zone at time zone 'UTC'
      - (v_utc - interval '1 day'),
    (v_utc + interval '1 day') at time zone clock_times.time_zone at time zone 'UTC'
      - (v_utc + interval '1 day'));
begin
  if clock_times.elapsed then
    return query
      select t.at
        from unnest(array[v_first, v_last]) as t (at)
       where t.at at time zone clock_times.time_zone = clock_times.local
         and (t.at = v_first or v_first < v_last);
  else
    return query
      select t.at
        from generate_series(v_first, v_last, interval '1 minute') as t (at)
       where t.at at time zone clock_times.time_zone >= clock_times.local
       order by t.at
       limit 1;
  end if;
end
$$;
comment on function publish.clock_times(timestamp, text, boolean) is
  'When the clock on the wall shows this: elapsed: each time it does, which may be none or two; '
  'else once, and if the clock was put forward over it, right after that.';
revoke all on function publish.clock_times(timestamp, text, boolean) from public;
