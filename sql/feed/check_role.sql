create or replace function publish.check_role(role name) returns void
language plpgsql
stable
as $$
begin
  if to_regrole(quote_ident(check_role.role)) is null then
    raise exception 'there is no such role' using
      errcode = 'PT404',
      detail = format('role %L', check_role.role),
      hint = 'Create it first: create role … nologin.';
  end if;
  if check_role.role in ('publish_owner', 'publish_projector', 'publish_writer', 'publish_worker',
                         'publish_admin', 'publish_server') then
    raise exception 'this role is not a reader' using
      errcode = 'PT400',
      detail = format('role %I', check_role.role),
      hint = 'Name publish_reader, or a role of your own.';
  end if;
end
$$;
comment on function publish.check_role(name) is
  'Raises PT404 for a role that does not exist, PT400 for one of ours but publish_reader.';
revoke all on function publish.check_role(name) from public;
