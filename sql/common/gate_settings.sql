create or replace function publish.gate_settings() returns text
language sql
immutable
parallel safe
as $$
  select 'set search_path = pg_catalog, pg_temp set row_security = off set lock_timeout = ''100ms'''
         ' set timezone = ''UTC'' set datestyle = ''ISO, MDY'' set intervalstyle = ''postgres'''
         ' set extra_float_digits = 1 set bytea_output = ''hex'''
         ' set lc_monetary = ''C'' set lc_time = ''C'' set array_nulls = on'
         ' set quote_all_identifiers = off set xmlbinary = base64 set xmloption = content'
         ' set enable_bitmapscan = on set enable_hashjoin = on set enable_mergejoin = on'
         ' set enable_sort = on set enable_incremental_sort = on'
$$;
comment on function publish.gate_settings() is
  'Settings under which users'' SQL is run, as clauses of CREATE FUNCTION: those that change a '
  'value''s text are pinned, so that equal data has an equal hash; those of planning undo what the '
  'drain pinned for itself; row security raises where it would hide rows; a table that is being '
  'replaced is not waited for.';
revoke all on function publish.gate_settings() from public;
