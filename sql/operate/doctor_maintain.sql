create or replace function publish.doctor_maintain(old interval) returns setof publish.finding
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with run as (
    select m.* from publish.maintenance m order by m.maintenance_id desc limit 1
  )
  select 'held', 'warning', 'publish_maintain', h.held,
         'Have the subscription go on or remove it, or set hold_limit; for a slot see who that is'
    from run r cross join lateral unnest(r.held) as h (held)
  union all
  select 'forced', 'error', 'publish_maintain',
         format('at %s %s rows went that a subscription had not read', m.at, m.rows_forced),
         'Raise hold_limit, and have the subscription begin again: publish_resync'
    from publish.maintenance m
   where m.rows_forced > 0
     and m.maintenance_id > (select r.maintenance_id - 100 from run r)
  union all
  select 'not_maintained', 'error', format('publish.outbox_%s', s.slot),
         'what is drained there was not emptied within 20 minutes',
         'Call publish_maintain() each minute; pgpublish drain, run and publish_run do'
    from generate_series(0, 2) as s (slot)
   cross join lateral (
     select o.enqueued_at from publish.outbox o where o.slot = s.slot limit 1
   ) o
   where o.enqueued_at < clock_timestamp() - interval '20 minutes'
     and s.slot <> floor(date_part('epoch', clock_timestamp()) / 300)::bigint % 3
     and publish.slot_holder(s.slot) is null
  union all
  select 'disk', 'warning', 'table ' || t.relid::regclass,
         format('%s of its rows are dead, %s live', t.n_dead_tup, t.n_live_tup),
         format('Let autovacuum run: vacuum %s', t.relid::regclass)
    from pg_stat_all_tables t
   where t.schemaname = 'publish' and t.n_dead_tup > greatest(100000, t.n_live_tup)
  union all
  select 'invalid_index', 'error', 'index ' || i.indexrelid::regclass,
         format('no query over %s uses it', i.indrelid::regclass),
         format('reindex index concurrently %s', i.indexrelid::regclass)
    from pg_index i join pg_class c on c.oid = i.indexrelid
   where c.relnamespace = 'publish'::regnamespace and not i.indisvalid
     and c.relname !~ '_ccnew[0-9]*$'
$$;
comment on function publish.doctor_maintain(interval) is
  'For publish_doctor: what does not become smaller.';
revoke all on function publish.doctor_maintain(interval) from public;
grant execute on function publish.doctor_maintain(interval) to publish_worker, publish_admin;
