create or replace function public.publish_grant(
  role name,
  kinds text[],
  scope text default null
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform publish.check_role(publish_grant.role);
  if coalesce(cardinality(publish_grant.kinds), 0) = 0 or publish_grant.scope = '' then
    raise exception 'nothing to grant' using
      errcode = 'PT400',
      detail = format('kinds %s, scope %L', publish_grant.kinds, publish_grant.scope),
      hint = 'Name kinds, or ''{*}'' for all; a scope is a text that is not empty.';
  end if;
  perform publish.check_kind(k.kind)
     from unnest(publish_grant.kinds) as k (kind) where k.kind is distinct from '*';
  insert into publish.reader as r (role, kinds, scope)
  values (publish_grant.role,
          array(select distinct k.kind from unnest(publish_grant.kinds) as k (kind) order by 1),
          publish_grant.scope)
  on conflict on constraint reader_pkey do update
     set kinds = array(select k.kind from unnest(r.kinds) as k (kind)
                       union select k.kind from unnest(excluded.kinds) as k (kind) order by 1),
         scope = coalesce(excluded.scope, r.scope), granted_at = now();
  perform publish.give_reading(publish_grant.role);
end
$$;
comment on function public.publish_grant(name, text[], text) is
  'Lets a role read these kinds, {*} for all, besides those it was granted before, through '
  'publish_changes, publish_page, publish_get and publish_head. scope: of kinds that have one, '
  'only rows of this scope; null keeps what it is, and is all rows for a new reader. A role that '
  'is granted something reads just that, also as a member of publish_reader, whose own grant {*} '
  'counts for members without any. Errors: PT404 unknown role or kind, PT400 nothing to grant, or '
  'a role of ours.';
revoke all on function public.publish_grant(name, text[], text) from public;
grant execute on function public.publish_grant(name, text[], text) to publish_admin;
