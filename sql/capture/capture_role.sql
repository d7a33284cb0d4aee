create or replace function publish.capture_role(capture publish.capture) returns name
language sql
immutable
as $$
  select case when capture_role.capture.plain then 'publish_owner'
              else 'publish_projector' end::name
$$;
comment on function publish.capture_role(publish.capture) is
  'As which role a capture''s trigger function runs: where its key is an expression, foreign '
  'functions may be called.';
revoke all on function publish.capture_role(publish.capture) from public;
