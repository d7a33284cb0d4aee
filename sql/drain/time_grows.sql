-- A view that takes equally long for any number of keys would otherwise end at one key a drain.
create or replace function publish.time_grows(before publish.drain, scanned int, took interval)
returns boolean
language sql
immutable
as $$
  select case when s.ratio < 1.5 then true
              else greatest(time_grows.took, (time_grows.before).duration)
                   > least(time_grows.took, (time_grows.before).duration)
                     * (1 + (s.ratio - 1) / 4) end
    from (select greatest(time_grows.scanned, (time_grows.before).scanned)::float8
                 / greatest(1, least(time_grows.scanned, (time_grows.before).scanned)) as ratio) s
$$;
comment on function publish.time_grows(publish.drain, int, interval) is
  'Whether a drain takes longer the more marks it takes, as far as this one and the one before it '
  'tell.';
revoke all on function publish.time_grows(publish.drain, int, interval) from public;
