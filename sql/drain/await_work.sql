-- Takes no lock and writes nothing. It polls because a NOTIFY in business transactions would
-- serialise their commits, and in the server because that saves a round trip for each look. A look
-- costs almost nothing while no transaction has ended: then no row can have become visible.
create or replace function publish.await_work(timeout_ms int default 1000, poll_ms int default 10)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_wait interval := await_work.timeout_ms * interval '1 ms';
  v_limit interval := current_setting('statement_timeout')::interval;
  v_deadline timestamptz := clock_timestamp() +
    case when v_limit > interval '0' then least(v_wait, v_limit / 2) else v_wait end;
  v_state publish.drain;
  v_looked text := '';
  v_due timestamptz;
begin
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  v_state.drained := coalesce(v_state.drained, '3:3:');
  loop
    perform pg_sleep(least(await_work.poll_ms / 1000.0,
                           extract(epoch from v_deadline - clock_timestamp())));
    if v_looked <> pg_current_snapshot()::text then
      v_looked := pg_current_snapshot()::text;
      v_due := least(
        (select min(d.due_at) from publish.deferred d where d.sqlstate = '57014'),
        (select min(d.due_at) from publish.deferred d where d.sqlstate is distinct from '57014'),
        (select min(w.due_at) from publish.walk w));
      if exists (
        select
          from publish.undrained(drained => v_state.drained, partial_xid => v_state.partial_xid,
                                 partial_seq => v_state.partial_seq,
                                 seen => pg_current_snapshot(), own => null) r
         cross join lateral (
           select
             from publish.outbox o
            where (o.xid, o.seq) > (r.lo, r.after) and o.xid < r.hi
            order by o.xid, o.seq
            limit 1
         ) o
      ) then
        return true;
      end if;
    end if;
    if v_due <= clock_timestamp() then
      return true;
    end if;
    exit when clock_timestamp() >= v_deadline;
  end loop;
  return false;
end
$$;
comment on function publish.await_work(int, int) is
  'Waits, looking every poll_ms milliseconds, until there is something to drain (true) or for '
  'timeout_ms milliseconds, or half of statement_timeout (false).';
revoke all on function publish.await_work(int, int) from public;
grant execute on function publish.await_work(int, int) to publish_worker, publish_admin;
