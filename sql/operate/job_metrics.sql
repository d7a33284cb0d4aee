create or replace function publish.job_metrics() returns setof publish.metric
language sql
stable
as $$
  with job as materialized (
    select s.status, j.kind, j.due_at
      from unnest('{pending,running,failed,succeeded,ignored}'::text[]) as s (status)
     cross join lateral (
       select j.kind, j.due_at
         from publish.job j
        where j.status = s.status
        order by j.created_at
        limit 100000
     ) j
  )
  select row('pgpublish_jobs', 'gauge', jsonb_build_object('kind', j.kind, 'status', j.status),
             count(*), 'Jobs, the oldest 100000 of each status counted.')::publish.metric
    from job j
   group by j.kind, j.status
  union all
  select row('pgpublish_job_oldest_due_age_seconds', 'gauge', jsonb_build_object('kind', j.kind),
             date_part('epoch', clock_timestamp() - min(j.due_at)),
             'How long the job that has been due for longest waits.')::publish.metric
    from job j
   where j.status in ('pending', 'failed') and j.due_at <= clock_timestamp()
   group by j.kind
  union all
  select row('pgpublish_jobs_lost', 'gauge', '{}', count(*),
             'Running jobs whose worker is gone or silent.')::publish.metric
    from publish.job_activity a
   where a.lock = 'lost' or a.lease_left < interval '0'
$$;
comment on function publish.job_metrics() is 'Metrics of jobs.';
revoke all on function publish.job_metrics() from public;
