-- Planned under the settings of its callers.
create or replace function publish.granted_to(role name) returns publish.reader
language plpgsql
stable
as $$
declare
  v_reader publish.reader;
  v_scopes int;
begin
  select r.* into v_reader
    from publish.reader r
   where r.role = granted_to.role and r.role <> 'publish_reader';
  if not found and exists (select from publish.reader r where r.role > 'publish_reader'
                                                           or r.role < 'publish_reader') then
    with recursive member as (
      select m.roleid from pg_auth_members m
       where m.member = to_regrole(quote_ident(granted_to.role))
      union
      select m.roleid from member b join pg_auth_members m on m.member = b.roleid
    )
    select count(distinct coalesce(r.scope, '')), min(r.scope), array_agg(distinct k.kind)
      into v_scopes, v_reader.scope, v_reader.kinds
      from member b
      join pg_roles p on p.oid = b.roleid
      join publish.reader r on r.role = p.rolname
     cross join unnest(r.kinds) as k (kind)
     where p.rolname <> 'publish_reader' and pg_has_role(granted_to.role, p.oid, 'usage');
    if v_scopes > 1 then
      raise exception 'roles of this reader have different scopes' using
        errcode = 'PT403',
        detail = format('role %I', granted_to.role),
        hint = 'Grant it with publish_grant by its own name.';
    end if;
  end if;
  return v_reader;
end
$$;
comment on function publish.granted_to(name) is
  'What a role was granted: its row of publish.reader, else the rows of roles that it is a member '
  'of, together; kinds is null without any. That of publish_reader is a default, and does not '
  'count. Errors: PT403 rows of different scopes.';
revoke all on function publish.granted_to(name) from public;
