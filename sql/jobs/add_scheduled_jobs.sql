-- In the transaction of a start: a schedule that moves on and the job that it adds are one. What
-- another start is just adding is passed over. A schedule that cannot be computed any more stops
-- no worker: it is put aside with its fault.
create or replace function publish.add_scheduled_jobs() returns void
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_due publish.job_schedule;
  v_next timestamptz;
  v_fault text;
begin
  for v_due in
    select s.*
      from publish.job_schedule s
     where s.next_at <= v_now
     order by s.next_at
     limit 100
       for update skip locked
  loop
    v_next := null;
    v_fault := null;
    begin
      v_next := publish.cron_next(
        cron => v_due.cron, time_zone => v_due.time_zone,
        after => case when v_due.missed = 'each' then v_due.next_at else v_now end);
    exception when others then
      v_fault := format('%s: %s', sqlstate, sqlerrm);
    end;
    insert into publish.job (id, kind, data, due_at, priority, max_attempts)
    values (v_due.name || to_char(v_due.next_at at time zone 'UTC', '@YYYY-MM-DD"T"HH24:MI"Z"'),
            v_due.kind,
            v_due.data || jsonb_build_object(
              'scheduled_at',
              to_char(v_due.next_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
            v_due.next_at, v_due.priority, v_due.max_attempts)
        on conflict on constraint job_pkey do nothing;
    update publish.job_schedule s
       set next_at = v_next, last_at = v_due.next_at, fault = v_fault
     where s.name = v_due.name;
  end loop;
end
$$;
comment on function publish.add_scheduled_jobs() is
  'Adds a job for each schedule that is due, of at most 100: id name@time, with the time in its '
  'data as scheduled_at.';
revoke all on function publish.add_scheduled_jobs() from public;
