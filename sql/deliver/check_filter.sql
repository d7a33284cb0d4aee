create or replace function publish.check_filter(filter text) returns void
language plpgsql
as $$
begin
  if octet_length(check_filter.filter) > 10000 then
    raise exception 'a filter has at most 10,000 bytes' using
      errcode = 'PT400',
      detail = format('%s bytes', octet_length(check_filter.filter)),
      hint = 'Put so much into a view, and publish that.';
  end if;
  perform from publish.read_texts(query => publish.filter_sql(check_filter.filter),
                                  ids => '{"{}"}', most => 1)
   where check_filter.filter is not null;
exception
  when syntax_error_or_access_rule_violation or feature_not_supported then
    raise exception 'the filter is no condition over payload' using
      errcode = 'PT400',
      detail = format('%s: %s', left(check_filter.filter, 200), sqlerrm),
      hint = 'Write it over the jsonb payload, as in: payload ->> ''lang'' = ''en''.';
  when data_exception then
    null; -- it may be right for payloads that are not empty
end
$$;
comment on function publish.check_filter(text) is
  'Tries a filter behind the gate, with an empty payload. Errors: PT400 it cannot be read, names '
  'what is not there or may not be used, or gives no boolean.';
revoke all on function publish.check_filter(text) from public;
