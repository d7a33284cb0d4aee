create or replace function publish.estimated_keys(kind text) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_plan json;
begin
  execute format('explain (format json) select from %s v',
                 (select c.view from publish.key_columns(estimated_keys.kind) c))
     into v_plan;
  return (v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
end
$$;
comment on function publish.estimated_keys(text) is
  'The planner''s estimate of how many keys the kind''s view shows, for progress bars. '
  'Errors: PT404 not a projected kind.';
revoke all on function publish.estimated_keys(text) from public;
grant execute on function publish.estimated_keys(text) to publish_worker, publish_admin;
