-- Inlined where it is called, with the search_path of who writes.
create or replace function publish.headers() returns jsonb
language sql
stable
as $$
  select case when pg_catalog.current_setting('publish.headers', true) operator(pg_catalog.<>) ''
              then publish.current_headers() end
$$;
comment on function publish.headers() is
  'publish.current_headers() where the setting is not empty, else null, at the cost of a look.';
revoke all on function publish.headers() from public;
