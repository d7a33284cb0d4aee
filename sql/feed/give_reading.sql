-- EXECUTE and no membership of publish_reader: that one counts in all databases of the cluster,
-- also where nothing restricts the role.
create or replace function publish.give_reading(role name) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid
      from pg_proc p
     where p.pronamespace = 'public'::regnamespace
       and p.proname in ('publish_changes', 'publish_page', 'publish_get', 'publish_head')
       and not has_function_privilege(to_regrole(quote_ident(give_reading.role)), p.oid, 'execute')
  loop
    execute format('grant execute on function %s to %I', v_function, give_reading.role);
  end loop;
end
$$;
comment on function publish.give_reading(name) is
  'Lets a role that has a row in publish.reader call what reads the feed.';
revoke all on function publish.give_reading(name) from public;
