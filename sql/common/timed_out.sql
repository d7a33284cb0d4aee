-- The statement began when its message came, or later: a message may hold several, each with its
-- timeout. The drain began later still, on a loaded server by tens of milliseconds.
create or replace function publish.timed_out() returns boolean
language sql
stable
as $$
  select coalesce(t.now - statement_timestamp() > 0.95 * t.most
                  and t.now - nullif(current_setting('publish.began', true), '')::timestamptz
                      > 0.8 * t.most, false)
    from (select clock_timestamp(),
                 nullif(current_setting('statement_timeout')::interval, '0')) as t (now, most)
$$;
comment on function publish.timed_out() is
  'Whether this drain has run for its statement_timeout: then that cancelled it, and not a '
  'person.';
revoke all on function publish.timed_out() from public;
