-- As publish.await_work: it polls, because a NOTIFY in business transactions would serialise their
-- commits, and looks only when a transaction has ended since. Of idle workers of the same kinds the
-- one that holds the lock polls often; the others, a quarter as often. A worker that leaves with a
-- job gives up the lock as its call ends, and one of the others takes over.
create or replace function publish.await_job(
  kinds text[],
  timeout_ms int default 500,
  poll_ms int default 10
) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_deadline timestamptz := clock_timestamp() + await_job.timeout_ms * interval '1 ms';
  v_watches boolean := false;
  v_looked text := '';
  v_due timestamptz;
begin
  loop
    v_watches := v_watches
      or pg_try_advisory_xact_lock(1886741102, hashtext(await_job.kinds::text));
    if v_looked <> pg_current_snapshot()::text then
      v_looked := pg_current_snapshot()::text;
      v_due := least(
        (select min(l.due_at)
           from publish.job_levels(kinds => await_job.kinds, until => clock_timestamp()) l),
        (select min(s.next_at) from publish.job_schedule s));
    end if;
    if v_due <= clock_timestamp() then
      return true;
    end if;
    exit when clock_timestamp() >= v_deadline;
    perform pg_sleep(least(await_job.poll_ms * case when v_watches then 1 else 4 end / 1000.0,
                           extract(epoch from v_deadline - clock_timestamp())));
  end loop;
  return false;
end
$$;
comment on function publish.await_job(text[], int, int) is
  'Waits, looking every poll_ms milliseconds, until a job of these kinds or a schedule is due '
  '(true) or for timeout_ms milliseconds (false). True promises no job: it may be of a kind at its '
  'limit, or be started by another worker first. Holds advisory lock (1886741102, '
  'hashtext(kinds::text)) while it waits, or looks a quarter as often.';
revoke all on function publish.await_job(text[], int, int) from public;
grant execute on function publish.await_job(text[], int, int) to publish_worker, publish_admin;
