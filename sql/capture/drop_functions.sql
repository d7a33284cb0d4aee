create or replace function publish.drop_functions(capture_id int, part text) returns void
language plpgsql
as $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure
      from pg_proc p
     where p.pronamespace = 'publish'::regnamespace
       and p.proname = format('capture_%s%s', drop_functions.capture_id, drop_functions.part)
  loop
    execute format('drop function %s cascade', v_function);
  end loop;
end
$$;
comment on function publish.drop_functions(int, text) is
  'Drops the function capture_<id><part>, if it is there, with what depends on it.';
revoke all on function publish.drop_functions(int, text) from public;
