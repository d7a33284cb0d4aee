-- created_at comes before finished_at: only jobs that are old enough by it are looked at.
-- One that recurs under its id never gets old, its errors do.
-- One prunes at a time: errors go in one order and jobs, with the errors they have, in another. Who
-- finds another at it does not wait. By place, and without a join: a plan made while there were few
-- jobs would read all of them, or all errors.
create or replace function public.publish_job_prune(batch int default 10000) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_before timestamptz := clock_timestamp() - publish.setting_of('job_retention')::interval;
  v_pruned int;
begin
  perform publish.check_batch(publish_job_prune.batch);
  if not pg_try_advisory_xact_lock(1886741100, 2) then
    return 0;
  end if;
  delete from publish.job_error e
   where e.ctid = any (array(
     select o.ctid
       from publish.job_error o
      where o.at < v_before
        and (select j.status from publish.job j where j.id = o.id) = 'succeeded'
      order by o.at
      limit publish_job_prune.batch
        for update skip locked));
  delete from publish.job j
   where j.ctid = any (array(
     select l.place
       from unnest('{succeeded,ignored}'::text[]) as s (status)
      cross join lateral (
        select f.ctid as place
          from publish.job f
         where f.status = s.status and f.created_at < v_before and f.finished_at < v_before
         order by f.created_at
         limit publish_job_prune.batch
           for update skip locked
      ) l
      limit publish_job_prune.batch));
  get diagnostics v_pruned = row_count;
  return v_pruned;
end
$$;
comment on function public.publish_job_prune(int) is
  'Removes jobs that succeeded, or were ignored, longer ago than the setting job_retention, with '
  'their errors, at most batch, and returns how many; also errors as old as that of jobs that '
  'succeeded since, at most batch. 0 also while another transaction has advisory lock '
  '(1886741100, 2): it prunes. Errors: PT400 bad batch.';
revoke all on function public.publish_job_prune(int) from public;
grant execute on function public.publish_job_prune(int) to publish_worker, publish_admin;
