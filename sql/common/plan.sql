create or replace function publish_gate.plan(query text) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set lock_timeout = '100ms'
as $$
declare
  v_plan json;
begin
  perform publish.check_installed('publish_projector');
  execute 'explain (format json, verbose) ' || plan.query into v_plan;
  return v_plan;
end
$$;
comment on function publish_gate.plan(text) is
  'The plan of a query, made as publish_projector. Called by publish.read_plan alone.';
revoke all on function publish_gate.plan(text) from public;
alter function publish_gate.plan(text) owner to publish_projector;
grant execute on function publish_gate.plan(text) to publish_owner;
