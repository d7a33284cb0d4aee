create or replace function publish.may_call(role name, function name) returns boolean
language sql
stable
as $$
  select exists (
    select from pg_catalog.pg_proc p
     where p.proname = may_call.function and p.proowner = 'publish_owner'::regrole
       and has_function_privilege(to_regrole(quote_ident(may_call.role)), p.oid, 'execute'))
$$;
comment on function publish.may_call(name, name) is
  'Whether a role may call this function of ours; false for a role that was dropped.';
revoke all on function publish.may_call(name, name) from public;
