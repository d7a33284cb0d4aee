-- pg_cron is in one database of the cluster, which may be another one than this.
create or replace function publish.cron_sql(
  action text,
  every interval default '1 minute',
  elsewhere boolean default false
) returns setof text
language sql
stable
as $$
  select case
           when cron_sql.elsewhere and j.is_here
           then format('select cron.schedule_in_database(%L, %L, %L, %L)',
                       j.name, j.schedule, j.command, current_database())
           else format('select cron.schedule(%L, %L, %L)', j.name, j.schedule, j.command) end
    from publish.cron_jobs(cron_sql.every) j
   where cron_sql.action = 'schedule'
  union all
  select format('select cron.unschedule(j.jobid) from cron.job j where j.jobname = any (%L)',
                array[n.name, n.name || ' maintain', n.name || ' purge'])
    from (select j.name from publish.cron_jobs('1 minute') j where j.is_here) n
   where cron_sql.action = 'unschedule'
  union all
  select format(
           'select j.jobname::text as job, j.schedule, j.command, j.database, j.username as role,'
           ' j.active, d.status as last_status, d.start_time as last_start,'
           ' d.return_message as last_message'
           ' from cron.job j'
           ' left join lateral (select r.* from cron.job_run_details r where r.jobid = j.jobid'
           ' order by r.runid desc limit 1) d on true'
           ' where j.jobname = any (%L) order by j.jobname',
           array[n.name, n.name || ' maintain', n.name || ' purge'])
    from (select j.name from publish.cron_jobs('1 minute') j where j.is_here) n
   where cron_sql.action = 'list'
$$;
comment on function publish.cron_sql(text, interval, boolean) is
  'What to run in pg_cron''s database to schedule, unschedule or list the jobs of this one. '
  'elsewhere: it is another database than this.';
revoke all on function publish.cron_sql(text, interval, boolean) from public;
grant execute on function publish.cron_sql(text, interval, boolean)
  to publish_worker, publish_admin;
