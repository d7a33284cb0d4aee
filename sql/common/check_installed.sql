-- A restore without owners leaves functions to the role that restored, which may be a superuser:
-- they would run as that role, and so would users' SQL.
create or replace function publish.check_installed(role text) returns void
language plpgsql
stable
as $$
begin
  if current_user <> check_installed.role then
    raise exception 'functions of pgpublish have another owner' using
      errcode = 'PT503',
      detail = format('This runs as %s and not as %s.', current_user, check_installed.role),
      hint = 'Run pgpublish migrate, which restores owners and rights.';
  end if;
end
$$;
comment on function publish.check_installed(text) is
  'Raises PT503 where a SECURITY DEFINER function runs as another role than its own, as after a '
  'restore without owners.';
revoke all on function publish.check_installed(text) from public;
grant execute on function publish.check_installed(text) to publish_projector;
