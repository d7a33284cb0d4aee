create or replace function publish.view_hint(name text) returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select publish.near(
           regexp_replace(view_hint.name, '^.*[.]', ''),
           array(select c.relname::text
                   from pg_class c
                   join pg_namespace n on n.oid = c.relnamespace
                  where c.relkind in ('v', 'r', 'p') and n.nspname !~ '^(pg_|information_schema$)'
                    and n.nspname not in ('publish', 'publish_gate')))
         || 'Name a view of this database, with its schema if it needs one.'
$$;
comment on function publish.view_hint(text) is
  'The hint for a view that is not there, with names like it.';
revoke all on function publish.view_hint(text) from public;
grant execute on function publish.view_hint(text) to publish_admin;
