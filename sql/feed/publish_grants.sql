create or replace function public.publish_grants()
returns table (role name, kinds text[], scope text, granted_at timestamptz)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select r.role, r.kinds, r.scope, r.granted_at from publish.reader r order by r.role
$$;
comment on function public.publish_grants() is 'Who was granted what, with publish_grant.';
revoke all on function public.publish_grants() from public;
grant execute on function public.publish_grants() to publish_worker, publish_admin;
