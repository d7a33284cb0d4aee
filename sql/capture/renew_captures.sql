create or replace function publish.renew_captures() returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_capture publish.capture;
  v_renewed int := 0;
begin
  for v_capture in
    select c.*
      from publish.capture c
      join pg_proc p on p.pronamespace = 'publish_gate'::regnamespace
                    and p.proname = format('capture_%s', c.capture_id)
     where not publish.is_as_written(c, p.oid)
  loop
    perform publish.write_trigger_function(v_capture);
    v_renewed := v_renewed + 1;
  end loop;
  return v_renewed;
end
$$;
comment on function publish.renew_captures() is
  'Makes those trigger functions again that another version of pgpublish made, or that were '
  'edited; returns how many. The triggers stay, and no table is locked. `pgpublish migrate` calls '
  'it.';
revoke all on function publish.renew_captures() from public;
grant execute on function publish.renew_captures() to publish_admin;
