-- Called only where the setting is not empty: its subtransaction writes nothing and costs no xid.
create or replace function publish.current_headers() returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_headers jsonb;
begin
  v_headers := nullif(current_setting('publish.headers', true), '')::jsonb;
  if not publish.are_headers(v_headers) then
    raise data_exception;
  end if;
  return v_headers;
exception when data_exception or program_limit_exceeded then
  raise warning 'the setting publish.headers is no JSON object of up to 16 kB and is left out' using
    detail = format('It is %L.', left(current_setting('publish.headers', true), 200)),
    hint = 'Set it as in: set_config(''publish.headers'', ''{"traceparent": "00-…"}'', true)';
  return null;
end
$$;
comment on function publish.current_headers() is
  'The setting publish.headers, a JSON object that travels with every row the transaction '
  'enqueues; null, with a warning, when it is not one or over 16 kB.';
revoke all on function publish.current_headers() from public;
