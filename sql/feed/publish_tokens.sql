create or replace function public.publish_tokens()
returns table (
  name text, role name, scope text, expires_at timestamptz, expired boolean, created_at timestamptz
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select t.name, t.role, t.scope, t.expires_at,
         coalesce(t.expires_at <= clock_timestamp(), false), t.created_at
    from publish.token t
   order by t.name
$$;
comment on function public.publish_tokens() is
  'The tokens of pgpublish serve, without what they are.';
revoke all on function public.publish_tokens() from public;
grant execute on function public.publish_tokens() to publish_admin;
