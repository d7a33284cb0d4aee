-- A level of nesting takes 8 bytes of jsonb: smaller values need no look at their depth.
create or replace function publish.payload_fault(payload jsonb) returns text
language sql
stable
as $$
  select case
    when pg_column_size(array[payload_fault.payload])
         > pg_size_bytes(coalesce(nullif(current_setting('publish.max_payload', true), ''), '32MB'))
      then format('the payload of %s is larger than publish.max_payload allows',
                  pg_size_pretty(pg_column_size(array[payload_fault.payload])::bigint))
    when pg_column_size(array[payload_fault.payload]) > 8000
         and jsonb_path_exists(payload_fault.payload, 'strict $.**{1001}')
      then 'the payload is nested more than 1000 levels deep'
  end
$$;
comment on function publish.payload_fault(jsonb) is
  'Why a payload cannot be published: larger than the setting publish.max_payload (default 32MB, '
  'as jsonb) or nested deeper than 1000 levels, which clients cannot parse. Null: it can.';
revoke all on function publish.payload_fault(jsonb) from public;
grant execute on function publish.payload_fault(jsonb) to publish_projector;
