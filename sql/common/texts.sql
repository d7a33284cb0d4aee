create or replace function publish_gate.texts(query text, ids text[], most int)
returns setof text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set lock_timeout = '100ms'
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set array_nulls = on
set quote_all_identifiers = off
set xmlbinary = base64
set xmloption = content
set lc_time = 'C'
set enable_seqscan = on
set enable_bitmapscan = on
set enable_hashjoin = on
set enable_mergejoin = on
set enable_sort = on
set enable_incremental_sort = on
rows 500
as $$
begin
  perform publish.check_installed('publish_projector');
  return query execute texts.query using texts.ids, texts.most;
end
$$;
comment on function publish_gate.texts(text, text[], int) is
  'Runs a query of one text column as publish_projector, $1 = ids, $2 = most. Called by '
  'publish.read_texts alone.';
revoke all on function publish_gate.texts(text, text[], int) from public;
alter function publish_gate.texts(text, text[], int) owner to publish_projector;
grant execute on function publish_gate.texts(text, text[], int) to publish_owner;
