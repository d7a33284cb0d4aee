-- The right to an action is the right to call its function: there is no second list of rights.
create or replace function publish.serve_actions(role name, scope text) returns text[]
language sql
stable
as $$
  select coalesce(array_agg(a.action order by a.action), '{}')
    from (values ('pause', 'publish_pause'), ('redrive', 'publish_redrive'),
                 ('resume', 'publish_resume'), ('retry job', 'publish_job_retry'),
                 ('retry keys', 'publish_retry')) as a (action, function)
   where publish.may_call(serve_actions.role, a.function)
     and publish.serves_operations(serve_actions.role, serve_actions.scope)
     and not pg_is_in_recovery()
$$;
comment on function publish.serve_actions(name, text) is
  'What a reader of pgpublish serve may do besides reading: an action for each function that its '
  'role may call, if it may see what it acts on; nothing on a standby.';
revoke all on function publish.serve_actions(name, text) from public;
