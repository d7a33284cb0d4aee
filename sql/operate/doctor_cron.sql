create or replace function publish.doctor_cron() returns setof publish.finding
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row jsonb;
begin
  if to_regclass('cron.job') is null or not has_schema_privilege('cron', 'usage') then
    return;
  end if;
  for v_row in
    execute format('select to_jsonb(c) from (%s) c', (select s from publish.cron_sql('list') s))
  loop
    if v_row ->> 'last_status' = 'failed' then
      return next row('cron', 'error', 'job ' || (v_row ->> 'job'), v_row ->> 'last_message',
                      'See pgpublish cron show, and the rights of role ' || (v_row ->> 'role')
                     )::publish.finding;
    elsif not (v_row ->> 'active')::boolean then
      return next row('cron', 'error', 'job ' || (v_row ->> 'job'), 'it is not active',
                      'Run: pgpublish cron install')::publish.finding;
    end if;
  end loop;
end
$$;
comment on function publish.doctor_cron() is
  'For publish_doctor: jobs of pg_cron whose last run failed, or that are not active; those that '
  'the caller may see, if pg_cron is in this database.';
revoke all on function publish.doctor_cron() from public;
grant execute on function publish.doctor_cron() to publish_worker, publish_admin;
