-- By name alone: the row type that an argument has may be in a schema we have no right on.
create or replace function publish.drop_functions(capture_id int, part text) returns void
language plpgsql
as $$
declare
  v_function name;
begin
  for v_function in
    select p.proname
      from pg_proc p
     where p.pronamespace = 'publish_gate'::regnamespace
       and p.proname = format('capture_%s%s', drop_functions.capture_id, drop_functions.part)
  loop
    execute format('drop function publish_gate.%I cascade', v_function);
  end loop;
end
$$;
comment on function publish.drop_functions(int, text) is
  'Drops the function capture_<id><part>, if it is there, with what depends on it.';
revoke all on function publish.drop_functions(int, text) from public;
