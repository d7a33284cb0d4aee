create or replace function publish.try_hold_tables(relation regclass) returns boolean
language plpgsql
set lock_timeout = '100ms'
as $$
begin
  perform publish.hold_tables(try_hold_tables.relation);
  return true;
exception
  when lock_not_available then
    return false;
end
$$;
comment on function publish.try_hold_tables(regclass) is
  'publish.hold_tables, but waits 100 ms at most; false: something is still being replaced.';
revoke all on function publish.try_hold_tables(regclass) from public;
