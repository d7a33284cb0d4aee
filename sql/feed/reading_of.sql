-- A member of publish_reader may set it as its role, or another member without a grant. So the
-- default is for those only whose session was granted nothing either. Planned under the settings of
-- its callers.
create or replace function publish.reading_of(role name, login name) returns publish.reading
language plpgsql
stable
as $$
declare
  v_reader publish.reader;
begin
  if publish.reads_everything(reading_of.role) then
    return null;
  end if;
  v_reader := publish.granted_to(reading_of.role);
  if v_reader.kinds is null and reading_of.login <> reading_of.role
     and not publish.reads_everything(reading_of.login) then
    v_reader := publish.granted_to(reading_of.login);
  end if;
  if v_reader.kinds is null and pg_has_role(reading_of.role, 'publish_reader', 'usage') then
    select r.* into v_reader from publish.reader r where r.role = 'publish_reader';
  end if;
  if v_reader.kinds is null then
    raise exception 'nothing is granted to this reader' using
      errcode = 'PT403',
      detail = format('role %I', reading_of.role),
      hint = 'Let an administrator call publish_grant.';
  end if;
  return publish.granted_reading(v_reader.kinds, v_reader.scope);
end
$$;
comment on function publish.reading_of(name, name) is
  'What a role may read in a session of this login. Members of publish_worker, publish_admin and '
  'publish_owner: everything. Otherwise what it was granted; without that, what the login was '
  'granted; without either, for members of publish_reader, what that was granted. Errors: PT403 '
  'nothing, or rows of different scopes.';
revoke all on function publish.reading_of(name, name) from public;
