-- Delayed enqueues wait until they are due, then are as if enqueued then.
begin;
select plan(10);

do $$
begin
  perform publish_define('note');
  perform publish_enqueue('note', 'k', '{"v": "later"}', available_at => now() + interval '1 h',
                          headers => '{"h": 1}');
  perform publish_enqueue('note', 'k', '{"v": "now"}');
end
$$;
select results_eq('select d.scanned, d.published from publish_drain() d', $$values (1, 1)$$,
                  'only what is due is drained');
select results_eq('select d.scanned from publish_drain() d', $$values (0)$$, 'the rest waits');
update publish.deferred set due_at = clock_timestamp();
select results_eq('select d.published from publish_drain() d', $$values (1)$$,
                  'once due it is drained');
select results_eq($$select p.payload, p.headers from publish.published p$$,
                  $$values ('{"v": "later"}'::jsonb, '{"h": 1}'::jsonb)$$,
                  'and is newer than what was enqueued after it and came first');
select is_empty('select from publish.deferred', 'it waits no more');
do $$
begin
  perform publish_enqueue('note', 'late', '{}', available_at => now() + interval '1 h');
  update publish.deferred set due_at = clock_timestamp() - interval '1 min';
  perform publish_drain();
end
$$;
select is((select d.lag > interval '59 s' from publish.drain d order by d.drain_id desc limit 1),
          true, 'its lag counts from when it was due');

-- in bounded steps
do $$
begin
  perform publish_enqueue('note', n::text, '{}', available_at => now() + interval '1 h')
    from generate_series(1, 5) n;
  update publish.deferred set due_at = clock_timestamp() - interval '1 min';
end
$$;
select lives_ok('select publish_drain(3)', 'batch bounds the drain');
select is((select count(*) from publish.deferred), 2::bigint, 'and how many it finds due');
select lives_ok('select publish_drain(3)', 'the rest comes next');
select is_empty('select from publish.deferred', 'to the end');

select * from finish();
rollback;
