create or replace function publish.callers_reading() returns publish.reading
language sql
stable
as $$ select publish.reading_of(role => publish.caller(), login => session_user) $$;
comment on function publish.callers_reading() is
  'What the caller may read. Errors: PT403 nothing, or rows of different scopes.';
revoke all on function publish.callers_reading() from public;
