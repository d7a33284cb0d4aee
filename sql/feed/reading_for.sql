-- Only what the role was granted by name counts: who signs tokens cannot name an administrator.
create or replace function publish.reading_for(role name, scope text) returns publish.reading
language plpgsql
stable
as $$
declare
  v_reader publish.reader;
begin
  select r.* into v_reader from publish.reader r where r.role = reading_for.role;
  if not found then
    raise exception 'nothing is granted to this reader' using
      errcode = 'PT403',
      detail = format('role %L', reading_for.role),
      hint = 'Let an administrator call publish_grant.';
  end if;
  if v_reader.scope <> reading_for.scope or reading_for.scope = '' then
    raise exception 'this reader has another scope' using
      errcode = 'PT403',
      detail = format('role %L, scope %L', reading_for.role, reading_for.scope),
      hint = 'Leave the scope out, or use a role that was granted none.';
  end if;
  return publish.granted_reading(v_reader.kinds, coalesce(v_reader.scope, reading_for.scope));
end
$$;
comment on function publish.reading_for(name, text) is
  'What a reader that comes with a token may read: what its role was granted by publish_grant, '
  'narrowed to the scope of the token. Errors: PT403.';
revoke all on function publish.reading_for(name, text) from public;
