-- A hybrid logical clock (Kulkarni et al., 2014): the time, but never below the number before, so
-- that a clock that was set back changes no order. setval after nextval may set it below what
-- another call has returned. One that begins later reads a later time all the same, unless the
-- clock is set back just then: a lock that excludes that would stop all other enqueues.
create or replace function publish.next_payload_no() returns bigint
language plpgsql
as $$
declare
  v_next bigint := nextval('publish.payload_no');
  v_now bigint := publish.microseconds(clock_timestamp());
begin
  if v_now > v_next then
    return setval('publish.payload_no', v_now);
  end if;
  return v_next;
end
$$;
comment on function publish.next_payload_no() is
  'The number of a payload that is enqueued now: above that of each call that has returned.';
revoke all on function publish.next_payload_no() from public;
