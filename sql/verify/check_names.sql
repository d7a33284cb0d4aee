-- Clients qualify their calls, so only what is beside our functions can take one. An argument that
-- is left out, or of which the type is not said, is enough: PostgreSQL prefers the other function.
create or replace function publish.check_names() returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_strange text;
begin
  select string_agg(format('%s of %s', p.oid::regprocedure, pg_get_userbyid(p.proowner)), ', '
                    order by p.oid::regprocedure::text)
    into v_strange
    from pg_proc p
   where p.pronamespace = 'public'::regnamespace
     and pg_get_userbyid(p.proowner) <> 'publish_owner'
     and p.proname in (select o.proname
                         from pg_proc o
                        where o.pronamespace = 'public'::regnamespace
                          and starts_with(o.proname, 'publish_')
                          and pg_get_userbyid(o.proowner) = 'publish_owner');
  if v_strange is not null then
    raise exception 'a function of another owner may take calls that are meant for pgpublish' using
      errcode = 'PT503',
      detail = format('%s.', v_strange),
      hint = 'Drop it, and as the owner of schema public: revoke create on schema public from '
             'public.';
  end if;
end
$$;
comment on function publish.check_names() is
  'Raises PT503 where a function of another owner has the name of one of ours in schema public. '
  'The commands of pgpublish and its workers call it when they begin.';
revoke all on function publish.check_names() from public;
grant execute on function publish.check_names()
  to publish_writer, publish_reader, publish_worker, publish_admin;
