create or replace function publish.microseconds(at timestamptz) returns bigint
language sql
stable
parallel safe
as $$
  select (date_part('epoch', microseconds.at) * 1000000)::bigint
$$;
comment on function publish.microseconds(timestamptz) is
  'Since 1970, negative before. The lowest number of a payload that is enqueued at this time.';
revoke all on function publish.microseconds(timestamptz) from public;
