-- Prepared statements belong to the session and survive every rollback. Users' SQL behind the gate
-- could put another one in the place of one that a driver executes next, with the rights of who is
-- logged in. (So a client that sends PREPARE, a write and EXECUTE in one message may have to
-- prepare again; statements that drivers prepare are not touched.)
create or replace function publish.drop_prepared() returns void
language plpgsql
as $$
declare
  v_name text;
begin
  if not exists (
    select from pg_catalog.pg_prepared_statements p
     where p.from_sql
       and p.prepare_time operator(pg_catalog.>=) pg_catalog.statement_timestamp()
  ) then
    return;
  end if;
  for v_name in
    select p.name
      from pg_catalog.pg_prepared_statements p
     where p.from_sql
       and p.prepare_time operator(pg_catalog.>=) pg_catalog.statement_timestamp()
  loop
    execute pg_catalog.format('deallocate %I', v_name);
    raise warning 'a statement that was prepared by published SQL was dropped' using
      detail = pg_catalog.format('statement %I', v_name),
      hint = 'Look at the functions that views, lookups, validators and keys call.';
  end loop;
end
$$;
comment on function publish.drop_prepared() is
  'Drops what users'' SQL prepared behind the gate: the statements of PREPARE since the client''s '
  'statement began.';
revoke all on function publish.drop_prepared() from public;
grant execute on function publish.drop_prepared() to publish_projector;
