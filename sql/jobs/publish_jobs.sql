create or replace function public.publish_jobs(
  inout status text default null,
  inout kind text default null,
  batch int default 100,
  oldest_first boolean default false,
  inout id text default null,
  out priority int,
  out attempts int,
  out max_attempts int,
  out due_at timestamptz,
  out worker text,
  out error text,
  out message text,
  out created_at timestamptz,
  out started_at timestamptz,
  out beat_at timestamptz,
  out finished_at timestamptz,
  out data jsonb
) returns setof record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
rows 100
as $$
begin
  if publish_jobs.status not in ('pending', 'running', 'failed', 'succeeded', 'ignored')
     or coalesce(publish_jobs.batch, 0) < 1 or publish_jobs.oldest_first is null then
    raise exception 'no such status, or batch below 1' using
      errcode = 'PT400',
      detail = format('status %L, batch %s, oldest_first %s', publish_jobs.status,
                      coalesce(publish_jobs.batch::text, 'null'),
                      coalesce(publish_jobs.oldest_first::text, 'null')),
      hint = 'A status is pending, running, failed, succeeded or ignored.';
  end if;
  return query
    select j.status, j.kind, j.id, j.priority::int, j.attempts, j.max_attempts, j.due_at, j.worker,
           e.error, e.message, j.created_at, j.started_at, j.beat_at, j.finished_at, j.data
      from (
        select o.*
          from publish.job o
         where o.id = publish_jobs.id
           and o.status = coalesce(publish_jobs.status, o.status)
           and o.kind = coalesce(publish_jobs.kind, o.kind)
        union all
        select o.*
          from unnest(case when publish_jobs.id is not null then '{}'
                           when publish_jobs.status is not null then array[publish_jobs.status]
                           else '{pending,running,failed,succeeded,ignored}' end) as s (status)
         cross join lateral (
           (select l.*
              from publish.job l
             where l.status = s.status and l.kind = coalesce(publish_jobs.kind, l.kind)
               and publish_jobs.oldest_first
             order by l.created_at
             limit publish_jobs.batch)
           union all
           (select l.*
              from publish.job l
             where l.status = s.status and l.kind = coalesce(publish_jobs.kind, l.kind)
               and not publish_jobs.oldest_first
             order by l.created_at desc
             limit publish_jobs.batch)
         ) o
      ) j
      left join lateral publish.newest_errors(j.id, 1) e on true
     order by case when publish_jobs.oldest_first then j.created_at end,
              case when not publish_jobs.oldest_first then j.created_at end desc, j.id
     limit publish_jobs.batch;
end
$$;
comment on function public.publish_jobs(text, text, int, boolean, text) is
  'Jobs, the newest first, at most batch: of this status, of this kind, or the one of this id. '
  'error and message are those of the last failure; publish_job_errors has all. due_at of a '
  'running job is when its lease ends. Errors: PT400 bad argument.';
revoke all on function public.publish_jobs(text, text, int, boolean, text) from public;
grant execute on function public.publish_jobs(text, text, int, boolean, text)
  to publish_worker, publish_admin;
