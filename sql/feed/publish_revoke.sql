create or replace function public.publish_revoke(
  role name,
  kinds text[] default null
) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_old publish.reader;
  v_rest text[];
  v_function regprocedure;
begin
  select r.* into v_old
    from publish.reader r
   where r.role = publish_revoke.role
     for update;
  if not found then
    return false;
  end if;
  if '*' = any (v_old.kinds) and '*' <> all (publish_revoke.kinds) then
    raise exception 'this reader was granted all kinds' using
      errcode = 'PT400',
      detail = format('role %I, kinds %s', publish_revoke.role, publish_revoke.kinds),
      hint = 'Revoke all of them, then grant those that it may read.';
  end if;
  v_rest := array(select k.kind from unnest(v_old.kinds) as k (kind)
                   where k.kind <> all (publish_revoke.kinds) order by 1);
  if cardinality(v_rest) > 0 then
    update publish.reader r set kinds = v_rest where r.role = publish_revoke.role;
    return v_rest <> v_old.kinds;
  end if;
  delete from publish.reader r where r.role = publish_revoke.role;
  if publish_revoke.role <> 'publish_reader'
     and to_regrole(quote_ident(publish_revoke.role)) is not null then
    for v_function in
      select p.oid
        from pg_proc p
       where p.pronamespace = 'public'::regnamespace
         and p.proname in ('publish_changes', 'publish_page', 'publish_get', 'publish_head')
    loop
      execute format('revoke execute on function %s from %I', v_function, publish_revoke.role);
    end loop;
    if pg_has_role(publish_revoke.role, 'publish_reader', 'usage')
       and exists (select from publish.reader r where r.role = 'publish_reader') then
      raise warning 'this role reads what publish_reader was granted now' using
        detail = format('role %I', publish_revoke.role),
        hint = format('To end that, call: revoke publish_reader from %I', publish_revoke.role);
    end if;
  end if;
  return true;
end
$$;
comment on function public.publish_revoke(name, text[]) is
  'Takes back what publish_grant gave: these kinds, or all with the scope, which is the default. '
  'publish_reader: its members without a grant of their own then read nothing. Another member '
  'of publish_reader then reads what that was granted, which a warning says. Returns whether '
  'there was something to take. Errors: PT400 some kinds of a reader that was granted all.';
revoke all on function public.publish_revoke(name, text[]) from public;
grant execute on function public.publish_revoke(name, text[]) to publish_admin;
