create or replace function publish.check_metrics(role name, scope text) returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if publish.serves_operations(check_metrics.role, check_metrics.scope)
     and publish.may_call(check_metrics.role, 'publish_metrics') then
    return;
  end if;
  raise exception 'this reader may not read metrics' using
    errcode = 'PT403',
    detail = format('role %L, scope %L', check_metrics.role, check_metrics.scope),
    hint = 'Use a token of a role that may call publish_metrics and reads all kinds.';
end
$$;
comment on function publish.check_metrics(name, text) is
  'Raises PT403 for a reader of pgpublish serve that may not read metrics: they name all kinds and '
  'subscriptions.';
revoke all on function publish.check_metrics(name, text) from public;
grant execute on function publish.check_metrics(name, text) to publish_server, publish_admin;
