-- PostgreSQL sees no deadlock here, as this transaction waits for no lock: it only tries again.
create or replace function publish.await_tables(since timestamptz) returns void
language plpgsql
as $$
declare
  v_waiting text := (
    select min(l.relation::regclass::text)
      from pg_locks l
      join pg_class c on c.oid = l.relation and c.relnamespace <> 'publish'::regnamespace
     where l.locktype = 'relation' and not l.granted
       and l.database = (select d.oid from pg_database d where d.datname = current_database())
       and pg_backend_pid() = any (pg_blocking_pids(l.pid))
  );
  v_most interval := coalesce(nullif(current_setting('lock_timeout')::interval, '0'), '1 minute');
begin
  if v_waiting is not null then
    raise exception 'another transaction waits for a table that this one holds' using
      errcode = 'PT423',
      detail = format('table %s, while this transaction waits for another table', v_waiting),
      hint = 'Verify or backfill one kind in a transaction, and read no other table in it.';
  end if;
  if clock_timestamp() - await_tables.since > v_most then
    raise exception 'a table that the view reads is locked' using
      errcode = 'PT423',
      detail = format('waited for %s, which lock_timeout may set', v_most),
      hint = 'Try again when what replaces the table has ended.';
  end if;
  perform pg_sleep(0.1);
end
$$;
comment on function publish.await_tables(timestamptz) is
  'Waits a tenth of a second for a table that is being replaced. Errors: PT423 another transaction '
  'waits for this one, which could then go on for ever, or lock_timeout, else a '
  'minute, has passed since then.';
revoke all on function publish.await_tables(timestamptz) from public;
