-- The hash is given, not the token: a server that logs statements or slow calls logs their
-- parameters too. It is looked up, so how long that takes says nothing of the token.
create or replace function public.publish_token_check(hash bytea)
returns table (name text, role name, scope text, expires_at timestamptz)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
rows 1
as $$
begin
  return query
    select t.name, t.role, t.scope, t.expires_at
      from publish.token t
     where t.hash = publish_token_check.hash
       and coalesce(t.expires_at, 'infinity') > clock_timestamp();
  if not found then
    raise exception 'this token is not known or has expired' using
      errcode = 'PT401',
      detail = 'Its hash is not in publish.token, or its time is over.',
      hint = 'Ask an administrator for another: publish_token_add.';
  end if;
end
$$;
comment on function public.publish_token_check(bytea) is
  'Whose token this is. hash: SHA-256 of the token. Errors: PT401 it is not known, or has expired.';
revoke all on function public.publish_token_check(bytea) from public;
grant execute on function public.publish_token_check(bytea) to publish_server, publish_admin;
