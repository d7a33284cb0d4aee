-- Planned under the settings of its callers.
create or replace function publish.reading_of(role name) returns publish.reading
language plpgsql
stable
as $$
declare
  v_reader publish.reader;
  v_scopes int;
begin
  if pg_has_role(reading_of.role, 'publish_worker', 'usage')
     or pg_has_role(reading_of.role, 'publish_admin', 'usage')
     or pg_has_role(reading_of.role, 'publish_owner', 'usage') then
    return null;
  end if;
  select r.* into v_reader from publish.reader r where r.role = reading_of.role;
  if not found and exists (select from publish.reader r where r.role > 'publish_reader'
                                                           or r.role < 'publish_reader') then
    with recursive member as (
      select m.roleid from pg_auth_members m
       where m.member = to_regrole(quote_ident(reading_of.role))
      union
      select m.roleid from member b join pg_auth_members m on m.member = b.roleid
    )
    select count(distinct coalesce(r.scope, '')), min(r.scope), array_agg(distinct k.kind)
      into v_scopes, v_reader.scope, v_reader.kinds
      from member b
      join pg_roles p on p.oid = b.roleid
      join publish.reader r on r.role = p.rolname
     cross join unnest(r.kinds) as k (kind)
     where p.rolname <> 'publish_reader' and pg_has_role(reading_of.role, p.oid, 'usage');
    if v_scopes > 1 then
      raise exception 'roles of this reader have different scopes' using
        errcode = 'PT403',
        detail = format('role %I', reading_of.role),
        hint = 'Grant it with publish_grant by its own name.';
    end if;
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
  return row(case when '*' <> all (v_reader.kinds) then v_reader.kinds end,
             v_reader.scope, null)::publish.reading;
end
$$;
comment on function publish.reading_of(name) is
  'What a role may read. Members of publish_worker, publish_admin and publish_owner: everything. '
  'Otherwise its row of publish.reader counts; without one the rows of roles that it is a member '
  'of, together; without these that of publish_reader, for its members. Errors: PT403 nothing, or '
  'rows of different scopes.';
revoke all on function publish.reading_of(name) from public;
