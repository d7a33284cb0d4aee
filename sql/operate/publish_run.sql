-- Runs as its caller, and without SET: what commits may have neither. A statement_timeout counts
-- for the whole call, so the loop ends in its first half. A drain that it cancels all the same left
-- its name in publish.attempt, as one does that was killed.
create or replace procedure public.publish_run(
  "for" interval default '55 seconds',
  batch int default 500
)
language plpgsql
as $$
declare
  v_limit interval := nullif(pg_catalog.current_setting('statement_timeout')::interval, '0');
  v_end timestamptz := pg_catalog.clock_timestamp() + least("for", v_limit / 2);
  v_worked_at timestamptz := pg_catalog.clock_timestamp();
  v_scanned int;
  v_is_busy boolean;
  v_idle_ms float8;
begin
  if ("for" between interval '0' and interval '1 day') is not true then
    raise exception 'a run lasts up to a day' using
      errcode = 'PT400',
      detail = pg_catalog.format('for %s', coalesce("for"::text, 'null')),
      hint = 'Pass a span such as ''55 seconds''.';
  end if;
  perform public.publish_maintain(10000);
  commit;
  loop
    if publish.is_off() then
      v_is_busy := true;
    else
      begin
        select d.scanned, d.busy into v_scanned, v_is_busy
          from public.publish_drain(publish_run.batch) d;
      exception when transaction_rollback or lock_not_available then
        raise warning 'a drain failed' using
          detail = sqlerrm,
          hint = 'It is tried again; if that goes on, see who has locked what it reads.';
        v_is_busy := true;
      end;
    end if;
    commit;
    exit when pg_catalog.clock_timestamp() >= v_end;
    if v_is_busy then
      perform pg_catalog.pg_sleep(0.2);
    elsif v_scanned < publish_run.batch then
      if v_scanned > 0 then
        v_worked_at := pg_catalog.clock_timestamp();
      end if;
      v_idle_ms := 1000 * extract(epoch from pg_catalog.clock_timestamp() - v_worked_at);
      perform publish.await_work(500, greatest(3, least(20, v_idle_ms / 100))::int);
    end if;
    commit;
    exit when pg_catalog.clock_timestamp() >= v_end;
  end loop;
end
$$;
comment on procedure public.publish_run(interval, int) is
  'Maintains once, then drains for this time, at most batch marks a drain, and commits after each: '
  'with a pg_cron job each minute a change is published within a second. While another session '
  'drains it stands by. With a statement_timeout it ends after half of that. To be called outside '
  'of a transaction. Errors: PT400 for out of bounds; those of publish_drain, but for one that was '
  'rolled back or did not get a lock, which is tried again.';
revoke all on procedure public.publish_run(interval, int) from public;
grant execute on procedure public.publish_run(interval, int) to publish_worker, publish_admin;
