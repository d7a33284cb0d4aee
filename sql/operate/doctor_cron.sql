create or replace function publish.doctor_cron() returns setof publish.finding
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_jobs jsonb;
begin
  if to_regclass('cron.job') is null or not has_schema_privilege('cron', 'usage') then
    return;
  end if;
  execute format('select coalesce(jsonb_agg(c), ''[]'') from (%s) c',
                 (select s from publish.cron_sql(action => 'list', every => interval '1 minute',
                                                   elsewhere => false) s))
     into v_jobs;
  return query select d.* from publish.doctor_cron_jobs(v_jobs, null) d;
end
$$;
comment on function publish.doctor_cron() is
  'For publish_doctor: jobs of pg_cron whose last run failed, or that are not active; those that '
  'the caller may see, if pg_cron is in this database.';
revoke all on function publish.doctor_cron() from public;
grant execute on function publish.doctor_cron() to publish_worker, publish_admin;
