create or replace function publish.is_transient(sqlstate text) returns boolean
language sql
immutable
parallel safe
as $$
  select left(is_transient.sqlstate, 2) in ('40', '57')
         -- temp_file_limit (53400) is met by one key's query.
         or left(is_transient.sqlstate, 2) = '53' and is_transient.sqlstate <> '53400'
         or is_transient.sqlstate = '55P03'
$$;
comment on function publish.is_transient(text) is
  'Whether an error says nothing about the data it was met with: a rollback, a cancel, a lack of '
  'resources, a lock that was not to be had.';
revoke all on function publish.is_transient(text) from public;
