create or replace function publish.estimated_keys(kind text) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rows float8;
begin
  select p.rows into v_rows
    from publish.read_plan(
      'select ' || publish.page_sql(kind => estimated_keys.kind, after => null)) p;
  return v_rows;
exception when lock_not_available then
  return 0;
end
$$;
comment on function publish.estimated_keys(text) is
  'About how many keys the kind''s view shows, as the planner knows, for progress bars. 0 while '
  'one of its tables is being replaced. Errors: PT404 not a projected kind, and those of the view.';
revoke all on function publish.estimated_keys(text) from public;
grant execute on function publish.estimated_keys(text) to publish_worker, publish_admin;
