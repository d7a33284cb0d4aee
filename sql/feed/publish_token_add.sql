create or replace function public.publish_token_add(
  name text,
  role name,
  scope text default null,
  expires timestamptz default null
) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_token text := 'pgp_' || replace(gen_random_uuid()::text || gen_random_uuid(), '-', '');
begin
  if coalesce(octet_length(publish_token_add.name), 0) not between 1 and 200
     or publish_token_add.expires <= clock_timestamp() then
    raise exception 'a token has a name of 1 to 200 bytes and expires later' using
      errcode = 'PT400',
      detail = format('name %L, expires %s', left(publish_token_add.name, 60),
                      publish_token_add.expires),
      hint = 'Name it after who uses it, such as ''shop-front''.';
  end if;
  perform publish.reading_for(publish_token_add.role, publish_token_add.scope);
  insert into publish.token (name, hash, role, scope, expires_at)
  values (publish_token_add.name, sha256(convert_to(v_token, 'UTF8')), publish_token_add.role,
          publish_token_add.scope, publish_token_add.expires)
  on conflict on constraint token_pkey do nothing;
  if not found then
    raise exception 'there is a token of this name' using
      errcode = 'PT400',
      detail = format('name %L', publish_token_add.name),
      hint = 'Choose another name, or call publish_token_remove first.';
  end if;
  return v_token;
end
$$;
comment on function public.publish_token_add(text, name, text, timestamptz) is
  'Makes a bearer token for pgpublish serve and returns it; it is kept as a hash only and cannot '
  'be shown again. role: what that was granted by publish_grant may be read. scope: only rows of '
  'this scope, of kinds that have one. expires: null for never. Errors: PT403 nothing is granted '
  'to the role, or another scope; PT400 bad argument, or a name that is taken.';
revoke all on function public.publish_token_add(text, name, text, timestamptz) from public;
grant execute on function public.publish_token_add(text, name, text, timestamptz)
  to publish_admin;
