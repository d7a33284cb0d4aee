-- Called by publish_job_start alone, which pins the settings of planning.
create or replace function publish.find_job(kinds text[]) returns text
language plpgsql
as $$
declare
  v_kinds text[] := find_job.kinds;
  v_now timestamptz := clock_timestamp();
  v_id text;
  v_due boolean;
  v_limited boolean;
begin
  select exists (select from publish.job_schedule s where s.next_at <= v_now),
         exists (select from publish.job_limit m where m.kind = any (v_kinds))
    into v_due, v_limited;
  if v_due then
    perform publish.add_scheduled_jobs();
  end if;
  if v_limited then
    v_kinds := publish.kinds_with_room(v_kinds);
  end if;
  v_id := publish.next_job(v_kinds);
  if v_id is null and publish.return_lost_jobs(find_job.kinds) > 0 then
    if v_limited then
      v_kinds := publish.kinds_with_room(find_job.kinds);
    end if;
    v_id := publish.next_job(v_kinds);
  end if;
  return v_id;
end
$$;
comment on function publish.find_job(text[]) is
  'As publish.next_job, after the jobs of schedules that are due were added, of kinds below their '
  'limit; if there is none, after lost runs were returned.';
revoke all on function publish.find_job(text[]) from public;
