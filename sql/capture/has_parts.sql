create or replace function publish.has_parts(source regclass) returns boolean
language sql
stable
as $$
  select exists (select from pg_class c where c.oid = has_parts.source and c.relkind = 'p')
      or exists (select from pg_inherits i where i.inhparent = has_parts.source)
$$;
comment on function publish.has_parts(regclass) is
  'Whether the table is partitioned or has children.';
revoke all on function publish.has_parts(regclass) from public;
