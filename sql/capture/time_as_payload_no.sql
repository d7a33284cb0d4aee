create or replace function publish.time_as_payload_no(at timestamptz) returns bigint
language sql
stable
parallel safe
as $$
  select (date_part('epoch', time_as_payload_no.at) * 1000000)::bigint
$$;
comment on function publish.time_as_payload_no(timestamptz) is
  'The lowest number that a payload enqueued at this time may have: microseconds since 1970.';
revoke all on function publish.time_as_payload_no(timestamptz) from public;
