-- created_at comes before finished_at: only jobs that are old enough by it are looked at.
create or replace function public.publish_job_prune(
  retention interval default interval '30 days',
  batch int default 10000
) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  v_pruned int;
begin
  if publish_job_prune.retention is null or publish_job_prune.retention < interval '0'
     or coalesce(publish_job_prune.batch, 0) < 1 then
    raise exception 'retention must not be negative, and batch 1 or more' using
      errcode = 'PT400',
      detail = format('retention %s, batch %s',
                      coalesce(publish_job_prune.retention::text, 'null'),
                      coalesce(publish_job_prune.batch::text, 'null')),
      hint = 'Leave them out for 30 days and 10000 jobs.';
  end if;
  delete from publish.job j
   where j.id in (
     select l.id
       from publish.job l
      where l.status = 'succeeded'
        and l.created_at < clock_timestamp() - publish_job_prune.retention
        and l.finished_at < clock_timestamp() - publish_job_prune.retention
      order by l.created_at
      limit publish_job_prune.batch
        for update skip locked);
  get diagnostics v_pruned = row_count;
  return v_pruned;
end
$$;
comment on function public.publish_job_prune(interval, int) is
  'Removes jobs that succeeded longer ago than retention, with their errors, at most batch; '
  'returns how many. Other jobs stay. Errors: PT400 bad argument.';
revoke all on function public.publish_job_prune(interval, int) from public;
grant execute on function public.publish_job_prune(interval, int) to publish_worker, publish_admin;
