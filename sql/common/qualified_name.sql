create or replace function publish.qualified_name(relation regclass) returns text
language sql
stable
as $$
  select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = qualified_name.relation
$$;
comment on function publish.qualified_name(regclass) is
  'Schema and name, quoted where needed, with any search_path.';
revoke all on function publish.qualified_name(regclass) from public;
