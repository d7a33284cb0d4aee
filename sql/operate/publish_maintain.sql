-- Bounded steps. Pruning needs the drain's lock and is skipped when a drain runs. TRUNCATE comes
-- last: its ACCESS EXCLUSIVE locks, on slots no current transaction writes, last to commit.
create or replace function public.publish_maintain(
  batch int default 10000,
  tombstone_retention interval default interval '30 days',
  out slots_emptied int,
  out drains_trimmed int,
  out rows_pruned int,
  out busy boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
begin
  if coalesce(publish_maintain.batch, 0) < 1
     or coalesce(publish_maintain.tombstone_retention, '-1 s')
        not between interval '0' and interval '1000 years' then
    raise exception 'batch must be 1 or more, and tombstone_retention 0 to 1000 years' using
      errcode = 'PT400',
      detail = format('batch %s, tombstone_retention %s',
                      coalesce(publish_maintain.batch::text, 'null'),
                      coalesce(publish_maintain.tombstone_retention::text, 'null')),
      hint = 'Leave them out for 10000 rows and 30 days.';
  end if;
  perform publish.check_read_committed('publish_maintain', 'a slot''s lock');
  perform publish.walk_replaced();
  perform publish.trim_delivery(publish_maintain.batch);
  perform public.publish_job_prune(retention => null::interval, batch => publish_maintain.batch);
  publish_maintain.busy := not publish.try_writer_lock();
  publish_maintain.rows_pruned := 0;
  publish_maintain.drains_trimmed := 0;
  if not publish_maintain.busy then
    publish_maintain.rows_pruned :=
      publish.prune(publish_maintain.batch, publish_maintain.tombstone_retention);
    delete from publish.drain d
     where d.drain_id in (
       select l.drain_id
         from (select l.drain_id, l.at
                 from publish.drain l
                where l.drain_id <= (select max(m.drain_id) - 10000 from publish.drain m)
                order by l.drain_id
                limit publish_maintain.batch) l
        where l.at < clock_timestamp() - interval '10 minutes');
    get diagnostics publish_maintain.drains_trimmed = row_count;
  end if;
  publish_maintain.slots_emptied :=
    (select count(*) from generate_series(0, 2) as s (slot) where publish.empty_slot(s.slot));
end
$$;
comment on function public.publish_maintain(int, interval) is
  'Empties drained outbox slots, trims the drain history to 10,000 rows and ten minutes, and '
  'prunes, at most batch of each: tombstones older than tombstone_retention, or than the retention '
  'of their projected kind; rows of payload kinds with a retention; finished jobs, as '
  'publish_job_prune does. Asks for a walk over kinds whose view, or what it is made of, was '
  'replaced. busy = true: a drain was running and nothing but jobs and deliveries '
  'was pruned or trimmed. '
  'Errors: PT400 bad argument, or not READ COMMITTED.';
revoke all on function public.publish_maintain(int, interval) from public;
grant execute on function public.publish_maintain(int, interval) to publish_worker, publish_admin;
