create or replace function publish.lookup_id_of(capture publish.capture) returns int
language sql
immutable
as $$
  select case when lookup_id_of.capture.lookup is not null then lookup_id_of.capture.capture_id end
$$;
comment on function publish.lookup_id_of(publish.capture) is
  'The lookup_id of the marks of a capture.';
revoke all on function publish.lookup_id_of(publish.capture) from public;
