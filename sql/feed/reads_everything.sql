create or replace function publish.reads_everything(role name) returns boolean
language sql
stable
as $$
  select pg_has_role(reads_everything.role, 'publish_worker', 'usage')
         or pg_has_role(reads_everything.role, 'publish_admin', 'usage')
         or pg_has_role(reads_everything.role, 'publish_owner', 'usage')
$$;
comment on function publish.reads_everything(name) is
  'Whether no grant limits what a role reads.';
revoke all on function publish.reads_everything(name) from public;
