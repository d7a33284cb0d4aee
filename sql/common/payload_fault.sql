-- Its text is what readers get: 32 MB of jsonb may be 200 MB of escapes, or a terabyte of zeros
-- from numbers such as 1e130000. Readers must stay below 1 GB, so 128 MB is the most there is.
-- 500 bytes of text are within the lowest limits there can be; a level is two characters.
create or replace function publish.payload_fault(payload jsonb) returns text
language plpgsql
stable
as $$
declare
  v_most bigint;
  v_deepest int;
  v_size bigint := pg_column_size(array[payload_fault.payload]);
begin
  if v_size <= 500 and octet_length(payload_fault.payload::text) <= 500 then
    return null;
  end if;
  select pg_size_bytes(max(coalesce(s.value, s.default_value)) filter (where s.type = 'bytes')),
         (max(coalesce(s.value, s.default_value)) filter (where s.type = 'int'))::int
    into v_most, v_deepest
    from publish.setting s
   where s.name in ('max_payload', 'max_depth');
  if v_size > v_most then
    return format('the payload of %s is larger than the setting max_payload allows',
                  pg_size_pretty(v_size));
  end if;
  v_size := octet_length(payload_fault.payload::text);
  if v_size > v_most then
    return format('the payload of %s of text is larger than the setting max_payload allows',
                  pg_size_pretty(v_size));
  end if;
  if v_size > 2 * v_deepest
     and jsonb_path_exists(payload_fault.payload,
                           format('strict $.**{%s}', v_deepest + 1)::jsonpath) then
    return format('the payload is nested more than %s levels deep', v_deepest);
  end if;
  return null;
end
$$;
comment on function publish.payload_fault(jsonb) is
  'Why a payload cannot be published: larger than the setting max_payload, as jsonb or as text, '
  'or nested deeper than max_depth, which clients cannot parse. Null: it can. Errors: 54000, '
  'XX000 over 1 GB of text.';
revoke all on function publish.payload_fault(jsonb) from public;
grant execute on function publish.payload_fault(jsonb) to publish_projector;
