-- publish_status: one row that says how the feed is.
begin;
select plan(12);

select is(pg_get_function_arguments('publish_status'::regproc),
          'OUT head bigint, OUT depth bigint, OUT lag interval, OUT delayed bigint, '
          'OUT quarantined bigint, OUT walks bigint, OUT epoch uuid, OUT floor bigint, '
          'OUT last_drain_at timestamp with time zone, OUT last_drain_duration interval, '
          'OUT last_drain_scanned integer, OUT last_drain_published integer', 'columns');
select volatility_is('public', 'publish_status', 'stable', 'stable: it may run on a standby');

select results_eq(
  'select s.head, s.depth, s.lag, s.delayed, s.quarantined, s.epoch, s.floor, s.last_drain_at
     from publish_status() s',
  $$values (0::bigint, 0::bigint, null::interval, 0::bigint, 0::bigint, null::uuid, 0::bigint,
            null::timestamptz)$$,
  'before the first change');

do $$
begin
  perform publish_define('note');
  perform publish_enqueue('note', n::text, '{}') from generate_series(1, 3) n;
  perform publish_enqueue('note', '4', '{}', available_at => now() + interval '1 h');
  insert into publish.outbox (kind, source_ids) values ('undefined', '{1}');
end
$$;
select results_eq('select s.head, s.depth, s.delayed from publish_status() s',
                  $$values (0::bigint, 4::bigint, 1::bigint)$$, 'what waits is depth or delayed');
select is((select s.lag >= '0' from publish_status() s), true, 'the oldest row has an age');

do $$
begin
  perform publish_drain(2);
end
$$;
select results_eq('select s.head, s.depth from publish_status() s',
                  $$values (2::bigint, 2::bigint)$$, 'half drained');
do $$
begin
  perform publish_drain();
end
$$;
select results_eq('select s.head, s.depth, s.lag, s.quarantined from publish_status() s',
                  $$values (3::bigint, 0::bigint, null::interval, 1::bigint)$$,
                  'all drained, one of them into the quarantine');
select results_eq('select s.last_drain_scanned, s.last_drain_published from publish_status() s',
                  $$values (2, 1)$$, 'what the last drain did');
select results_eq('select s.last_drain_at, s.last_drain_duration from publish_status() s',
                  'select d.at, d.duration from publish.drain d order by d.drain_id desc limit 1',
                  'and when');
select results_eq('select s.epoch from publish_status() s', 'select e.epoch from publish.epoch e',
                  'the present epoch');
insert into publish.floor (kind, floor, pruned) values ('note', 2, 1), ('event', 1, 1);
select results_eq('select s.floor from publish_status() s', $$values (2::bigint)$$,
                  'the highest floor of all kinds');
select is((select count(*) from publish_status()), 1::bigint, 'always one row');

select * from finish();
rollback;
