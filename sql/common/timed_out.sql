-- Not since statement_timestamp(): a message may hold several statements, each with its timeout.
create or replace function publish.timed_out() returns boolean
language sql
stable
as $$
  select coalesce(clock_timestamp()
                  - nullif(current_setting('publish.began', true), '')::timestamptz
                  > 0.95 * nullif(current_setting('statement_timeout')::interval, '0'), false)
$$;
comment on function publish.timed_out() is
  'Whether this drain has run for its statement_timeout: then that cancelled it, and not a '
  'person.';
revoke all on function publish.timed_out() from public;
