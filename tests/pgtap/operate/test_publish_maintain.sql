-- publish_maintain: pruning, trimming, and slots that may not be emptied yet.
begin;
select plan(23);

select is(pg_get_function_arguments('publish_maintain'::regproc),
          'batch integer DEFAULT 10000, OUT slots_emptied integer, OUT drains_trimmed integer, OUT rows_pruned integer, '
          'OUT busy boolean, OUT held text[]', 'arguments, defaults and columns');
select results_eq('select * from publish_maintain()', $$values (0, 0, 0, false, '{}'::text[])$$,
                  'nothing to do in an empty database');

do $$
begin
  perform publish_define('note');
  perform publish_define('event', retention => '1 hour');
  perform publish_enqueue('note', n::text, '{}') from generate_series(1, 5) n;
  perform publish_enqueue('event', n::text, '{}') from generate_series(1, 3) n;
  perform publish_drain();
  perform publish_enqueue('note', n::text, deleted => true) from generate_series(1, 3) n;
  perform publish_drain();
end
$$; -- notes 4 and 5 are revs 4 and 5, events 6 to 8, tombstones 9 to 11

-- tombstones
select results_eq('select m.rows_pruned from publish_maintain() m', $$values (0)$$,
                  'young tombstones stay');
update publish.published set updated_at = now() - interval '31 days' where rev in (4, 9, 10);
select results_eq('select m.rows_pruned from publish_maintain(1) m', $$values (1)$$,
                  'old ones go, at most batch');
select results_eq('select f.kind, f.floor, f.pruned from publish.floor f',
                  $$values ('note', 9::bigint, 1::bigint)$$,
                  'and the floor of their kind moves to them');
select results_eq('select m.rows_pruned from publish_maintain() m', $$values (1)$$,
                  'the rest follows');
select results_eq('select s.floor from publish_status() s', $$values (10::bigint)$$,
                  'with the floor');
select results_eq('select p.rev from publish.published p order by p.rev',
                  $$values (4::bigint), (5), (6), (7), (8), (11)$$,
                  'a live row is not pruned, however old');
select throws_ok('select publish_changes(9)', 'PT410', null,
                 'who has not seen them must begin again');
select results_eq('select c.rev from publish_changes(10) c', $$values (11::bigint)$$,
                  'who has goes on');
do $$ begin perform publish_set('tombstone_retention', '0'); end $$;
select results_eq('select m.rows_pruned from publish_maintain() m', $$values (1)$$,
                  'retention as it was set');

-- kinds with a retention
update publish.published set updated_at = now() - interval '61 min' where rev in (6, 7);
select results_eq('select m.rows_pruned from publish_maintain() m', $$values (2)$$,
                  'events older than their kind''s retention go');
select results_eq('select p.rev from publish.published p order by p.rev',
                  $$values (4::bigint), (5), (8)$$, 'younger ones stay');
select results_eq('select s.floor from publish_status() s', $$values (11::bigint)$$,
                  'the floor never sinks');

-- history
insert into publish.drain
  (drain_id, head_before, head, drained, scanned, keys, published, unchanged, quarantined, lag,
   duration, at)
select d.drain_id + n, d.head, d.head, d.drained, 1, 1, 0, 1, 0, '0', '0', now()
  from publish.drain d, generate_series(1, 10004) n
 where d.drain_id = 2;
select results_eq('select m.drains_trimmed from publish_maintain() m', $$values (0)$$,
                  'ten minutes of history stay, however many rows');
update publish.drain set at = now() - interval '11 min';
select results_eq('select m.drains_trimmed from publish_maintain(4) m', $$values (4)$$,
                  'older rows go beyond 10,000, at most batch');
select results_eq('select m.drains_trimmed from publish_maintain() m', $$values (2)$$,
                  'the rest follows');
select is((select count(*) from publish.drain), 10000::bigint, 'to 10,000');
select is(publish_head(), 11::bigint, 'and the state is the newest row still');

-- slots
select is((select count(*) from publish.outbox), 11::bigint,
          'this transaction''s rows are in the outbox still: it has not ended');
select is((select count(*) from generate_series(0, 2) s where publish.empty_slot(s)), 0::bigint,
          'no slot with such rows, and no current slot, is emptied');

-- refused
select throws_ok('select publish_maintain(0)', 'PT400', null, 'batch 0');
select throws_ok('select publish_maintain(null)', 'PT400', null, 'batch null');

select * from finish();
rollback;
