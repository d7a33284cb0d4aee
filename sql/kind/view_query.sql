create or replace function publish.view_query(view regclass) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_get_viewdef(view_query.view)
$$;
comment on function publish.view_query(regclass) is
  'The query of a view, with the schema of each name that is not PostgreSQL''s own.';
revoke all on function publish.view_query(regclass) from public;
grant execute on function publish.view_query(regclass) to publish_admin;
