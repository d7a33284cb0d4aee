-- In a SECURITY DEFINER function current_user is its owner. There nobody can set the role, and
-- elsewhere only to one that the session may take.
create or replace function publish.caller() returns name
language sql
stable
as $$ select coalesce(nullif(current_setting('role'), 'none'), session_user)::name $$;
comment on function publish.caller() is
  'As whom the session acts outside of SECURITY DEFINER functions.';
revoke all on function publish.caller() from public;
