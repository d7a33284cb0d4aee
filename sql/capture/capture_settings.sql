-- A plain key is made with the search_path of who writes: setting one would cost 2 µs a statement,
-- and the body names nothing that is not qualified.
create or replace function publish.capture_settings(capture publish.capture) returns text
language sql
immutable
as $$
  select case when capture_settings.capture.plain then ''
              else ' set search_path = pg_catalog, pg_temp set row_security = off' end
      || case when capture_settings.capture.pinned
              then ' set timezone = ''UTC'' set datestyle = ''ISO, MDY'''
                   ' set intervalstyle = ''postgres'' set extra_float_digits = 1'
                   ' set bytea_output = ''hex''' else '' end
$$;
comment on function publish.capture_settings(publish.capture) is
  'The settings with which a capture''s trigger function runs.';
revoke all on function publish.capture_settings(publish.capture) from public;
