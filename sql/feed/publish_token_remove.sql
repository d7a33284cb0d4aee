create or replace function public.publish_token_remove(name text) returns boolean
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with gone as (
    delete from publish.token t where t.name = publish_token_remove.name returning t.name
  )
  select exists (select from gone g)
$$;
comment on function public.publish_token_remove(text) is
  'Ends a token of pgpublish serve; open streams of it end within seconds. Returns whether there '
  'was one of this name.';
revoke all on function public.publish_token_remove(text) from public;
grant execute on function public.publish_token_remove(text) to publish_admin;
