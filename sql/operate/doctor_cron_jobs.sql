create or replace function publish.doctor_cron_jobs(jobs jsonb, elsewhere text default null)
returns setof publish.finding
language sql
set search_path = pg_catalog, pg_temp
as $$
  select 'cron', 'error', 'job ' || j.job, coalesce(rtrim(j.last_message, e'\n'), 'it failed'),
         'See pgpublish cron show' || i.option || ', and the rights of role ' || j.role
    from jsonb_to_recordset(doctor_cron_jobs.jobs)
      as j (job text, role text, active boolean, last_status text, last_message text)
   cross join lateral (
     select coalesce(' --in ' || quote_ident(doctor_cron_jobs.elsewhere), '') as option
   ) i
   where j.last_status = 'failed'
  union all
  select 'cron', 'error', 'job ' || j.job, 'it is not active',
         'Run: pgpublish cron install'
         || coalesce(' --in ' || quote_ident(doctor_cron_jobs.elsewhere), '')
    from jsonb_to_recordset(doctor_cron_jobs.jobs)
      as j (job text, active boolean, last_status text)
   where not j.active and j.last_status is distinct from 'failed'
  union all
  select 'cron', 'error', 'database ' || doctor_cron_jobs.elsewhere,
         format('pg_cron there has no job of role %s for this database', session_user),
         format('As the role that is to drain: pgpublish cron install --in %I',
                doctor_cron_jobs.elsewhere)
   where doctor_cron_jobs.elsewhere is not null
     and jsonb_array_length(doctor_cron_jobs.jobs) = 0
$$;
comment on function publish.doctor_cron_jobs(jsonb, text) is
  'For publish_doctor and `pgpublish doctor --in`: what is wrong with these jobs, rows of what '
  'publish.cron_sql lists. elsewhere: the database where pg_cron is, if it is another one; then '
  'there must be a job.';
revoke all on function publish.doctor_cron_jobs(jsonb, text) from public;
grant execute on function publish.doctor_cron_jobs(jsonb, text) to publish_worker, publish_admin;
