-- A plain key is made with the search_path of who writes: setting one would cost 2 µs a statement,
-- and the body names nothing that is not qualified. Where rows are paired, a plan that was made for
-- a few of them must not be a nested loop over many. Before PostgreSQL 18 a plan that has a loop
-- all the same looks so expensive that it would be compiled in each statement, in 300 ms.
create or replace function publish.capture_settings(capture publish.capture) returns text
language sql
immutable
as $$
  select concat(
    case when not capture_settings.capture.plain
         then ' set search_path = pg_catalog, pg_temp set row_security = off' end,
    case when capture_settings.capture.columns is not null and not capture_settings.capture.by_row
         then ' set enable_nestloop = off set jit = off' end,
    case when capture_settings.capture.pinned
         then ' set timezone = ''UTC'' set datestyle = ''ISO, MDY'''
              ' set intervalstyle = ''postgres'' set extra_float_digits = 1'
              ' set bytea_output = ''hex''' end)
$$;
comment on function publish.capture_settings(publish.capture) is
  'The settings with which a capture''s trigger function runs.';
revoke all on function publish.capture_settings(publish.capture) from public;
