create or replace function publish.request_walk(kind text, reason text) returns void
language sql
as $$
  insert into publish.walk (kind, reason, due_at)
  values (request_walk.kind, request_walk.reason, clock_timestamp())
$$;
comment on function publish.request_walk(text, text) is
  'Asks for a walk over the kind, which marks every key of it. Appends a row and waits for nobody.';
revoke all on function publish.request_walk(text, text) from public;
