-- Only the statement's own names are looked up there: the owner of a schema of that path could put
-- functions into it that this project's own SQL would call.
create or replace function publish.execute_in(path text, statement text) returns void
language plpgsql
as $$
begin
  perform pg_catalog.set_config('search_path', execute_in.path, true);
  execute execute_in.statement;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
end
$$;
comment on function publish.execute_in(text, text) is
  'Executes a statement in a search_path; then that is "pg_catalog, pg_temp".';
revoke all on function publish.execute_in(text, text) from public;
