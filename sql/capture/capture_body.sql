-- It holds on to tables and columns through publish_gate.capture_<id>_key and _unchanged, so
-- renames are harmless. These are dropped with what they read: a write then asks for a walk instead
-- of failing.
create or replace function publish.capture_body(capture publish.capture) returns text
language sql
immutable
as $$
  select case when capture_body.capture.plain then publish.plain_body(capture_body.capture)
              else publish.gated_body(capture_body.capture) end
$$;
comment on function publish.capture_body(publish.capture) is
  'The body of a capture''s trigger function: it appends keys to the outbox, and asks for a walk '
  'over the kind after TRUNCATE or where the keys cannot be told.';
revoke all on function publish.capture_body(publish.capture) from public;
