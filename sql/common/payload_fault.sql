-- Its text is what readers get: 32 MB of jsonb may be 200 MB of escapes, or a terabyte of zeros
-- from numbers such as 1e130000. Readers must stay below 1 GB, so the setting counts up to 128 MB.
-- A level of nesting is two characters: short texts need no look at their depth.
create or replace function publish.payload_fault(payload jsonb) returns text
language plpgsql
stable
as $$
declare
  v_most bigint := least(
    pg_size_bytes(coalesce(nullif(current_setting('publish.max_payload', true), ''), '32MB')),
    128 * 1024 * 1024);
  v_size bigint := pg_column_size(array[payload_fault.payload]);
begin
  if v_size > v_most then
    return format('the payload of %s is larger than publish.max_payload allows',
                  pg_size_pretty(v_size));
  end if;
  v_size := octet_length(payload_fault.payload::text);
  if v_size > v_most then
    return format('the payload of %s of text is larger than publish.max_payload allows',
                  pg_size_pretty(v_size));
  end if;
  return case when v_size > 1000 and jsonb_path_exists(payload_fault.payload, 'strict $.**{1001}')
              then 'the payload is nested more than 1000 levels deep' end;
end
$$;
comment on function publish.payload_fault(jsonb) is
  'Why a payload cannot be published: larger than the setting publish.max_payload (default 32MB, '
  'at most 128MB, as jsonb and as text) or nested deeper than 1000 levels, which clients cannot '
  'parse. Null: it can. Errors: 54000, XX000 over 1 GB of text.';
revoke all on function publish.payload_fault(jsonb) from public;
grant execute on function publish.payload_fault(jsonb) to publish_projector;
