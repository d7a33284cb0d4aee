create or replace function publish.serves_operations(role name, scope text) returns boolean
language sql
stable
as $$
  select r.kinds is null and r.scope is null
         and publish.may_call(serves_operations.role, 'overview')
    from publish.reading_for(serves_operations.role, serves_operations.scope) r
$$;
comment on function publish.serves_operations(name, text) is
  'Whether a reader of pgpublish serve may see subscriptions, workers, jobs and metrics: one that '
  'reads all kinds and all scopes, and whose role may call publish.overview. Errors: PT403.';
revoke all on function publish.serves_operations(name, text) from public;
