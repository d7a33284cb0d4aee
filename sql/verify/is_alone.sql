create or replace function publish.is_alone() returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select not exists (
    select from pg_stat_activity s
     where s.datname = current_database() and s.backend_type = 'client backend'
       and s.pid <> pg_backend_pid())
$$;
comment on function publish.is_alone() is
  'Whether no other client is connected to this database.';
revoke all on function publish.is_alone() from public;
grant execute on function publish.is_alone() to publish_admin;
