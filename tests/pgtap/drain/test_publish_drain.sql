-- publish_drain: its row, its counts, and draining inside the transaction that enqueued.
begin;
select plan(24);

select is(pg_get_function_arguments('publish_drain'::regproc), 'batch integer DEFAULT 500',
          'arguments and defaults');
select is(pg_get_function_result('publish_drain'::regproc),
          'TABLE(scanned integer, keys integer, published integer, unchanged integer, '
          'quarantined integer, head bigint, busy boolean)', 'seven columns');
select is_definer('public', 'publish_drain', '{integer}'::name[], 'runs as publish_owner');

select results_eq('select * from publish_drain()', $$values (0, 0, 0, 0, 0, 0::bigint, false)$$,
                  'an empty outbox: one row of nothing');
select is_empty('select from publish.drain', 'and no row of history');

do $$
begin
  perform publish_define('note');
  perform publish_enqueue('note', n::text, jsonb_build_object('n', n)) from generate_series(1, 3) n;
end
$$;
select results_eq('select * from publish_drain()', $$values (3, 3, 3, 0, 0, 3::bigint, false)$$,
                  'three new keys, enqueued by this very transaction');
select results_eq('select * from publish_drain()', $$values (0, 0, 0, 0, 0, 3::bigint, false)$$,
                  'then nothing is left');
select results_eq(
  $$select p.rev, p.source_id, p.payload from publish.published p order by p.rev$$,
  $$values (1::bigint, '1', '{"n": 1}'::jsonb), (2, '2', '{"n": 2}'), (3, '3', '{"n": 3}')$$,
  'revs are 1, 2, 3 in the order of the enqueues');

do $$
begin
  perform publish_enqueue('note', '1', '{"n": 1}');
  perform publish_enqueue('note', '2', '{"n": 20}');
  perform publish_enqueue('note', '3', '{"n": 30}');
  perform publish_enqueue('note', '3', '{"n": 31}');
end
$$;
select results_eq('select * from publish_drain()', $$values (4, 3, 2, 1, 0, 5::bigint, false)$$,
                  'scanned counts rows, keys distinct keys, unchanged keys get no rev');
select results_eq(
  $$select p.rev, p.source_id, p.payload from publish.published p order by p.rev$$,
  $$values (1::bigint, '1', '{"n": 1}'::jsonb), (4, '2', '{"n": 20}'), (5, '3', '{"n": 31}')$$,
  'a change moves its key to the next rev; of two changes the newer one counts');

-- history
select results_eq(
  $$select d.drain_id, d.head_before, d.head, d.scanned, d.keys, d.published, d.unchanged,
           d.quarantined from publish.drain d order by d.drain_id$$,
  $$values (1::bigint, 0::bigint, 3::bigint, 3, 3, 3, 0, 0), (2, 3, 5, 4, 3, 2, 1, 0)$$,
  'each drain that did something is a row of history');
select is_empty($$select from publish.drain d where d.lag < '0' or d.duration < '0'$$,
                'lag and duration are not negative');
select is((select count(*) from publish.epoch), 1::bigint, 'the first drain began the first epoch');

-- batch
do $$
begin
  perform publish_enqueue('note', n::text, jsonb_build_object('n', -n))
     from generate_series(1, 5) n;
end
$$;
select results_eq('select d.scanned, d.head from publish_drain(2) d', $$values (2, 7::bigint)$$,
                  'at most batch rows of a transaction that is larger');
select results_eq('select d.scanned, d.head from publish_drain(2) d', $$values (2, 9::bigint)$$,
                  'goes on where it stopped');
select results_eq('select d.scanned, d.head from publish_drain(2) d', $$values (1, 10::bigint)$$,
                  'to the end');
select results_eq('select p.source_id from publish.published p order by p.rev',
                  $$values ('1'), ('2'), ('3'), ('4'), ('5')$$, 'in order over all cuts');

-- rolled back
do $$
begin
  perform publish_enqueue('note', '1', '{"n": "undone"}');
  begin
    perform publish_drain();
    raise exception 'undo';
  exception when raise_exception then
    null;
  end;
end
$$;
select is((select count(*) from publish.drain), 5::bigint, 'a drain rolled back leaves no trace');
select is(publish_head(), 10::bigint, 'nor moves the head');
select results_eq('select d.published, d.head from publish_drain() d', $$values (1, 11::bigint)$$,
                  'the next one does its work');

-- refused
select throws_ok('select publish_drain(0)', 'PT400', null, 'batch 0');
select throws_ok('select publish_drain(-1)', 'PT400', null, 'batch -1');
select throws_ok('select publish_drain(null)', 'PT400', null, 'batch null');
select lives_ok('select publish_drain(2147483647)', 'the largest batch');

select * from finish();
rollback;
