-- publish_quarantine shows what is set aside; publish_retry has the next drain try it again.
begin;
select plan(23);

select is(pg_get_function_arguments('publish_quarantine'::regproc),
          'kind text DEFAULT NULL::text, batch integer DEFAULT 100', 'arguments and defaults');
select is(pg_get_function_result('publish_quarantine'::regproc),
          'TABLE(of_kind text, source_id text, sqlstate text, message text, attempts integer, '
          'first_failed_at timestamp with time zone, last_failed_at timestamp with time zone, '
          'due_at timestamp with time zone)', 'columns');
select volatility_is('public', 'publish_quarantine', 'stable', 'stable: it may run on a standby');
select is(pg_get_function_arguments('publish_retry'::regproc),
          'kind text DEFAULT NULL::text, source_id text DEFAULT NULL::text',
          'arguments and defaults of publish_retry');
select is_empty('select * from publish_quarantine()', 'nothing is set aside');
select is(publish_retry(), 0, 'and nothing to try again');

create table ratio (id int primary key, divisor int);
create view ratio_feed as select r.id, 10 / r.divisor as ratio from ratio r;
create function small(payload jsonb) returns boolean return (payload ->> 'ratio')::int < 10;
do $$
begin
  perform publish_define('ratio', 'ratio_feed');
  perform publish_define('small', 'ratio_feed', validator => 'small(jsonb)');
  insert into ratio values (1, 1), (2, 0), (3, 5), (4, 0);
  perform publish_backfill('ratio');
  perform publish_drain();
  perform publish_enqueue('small', '1');
  perform publish_drain();
  perform publish_enqueue('small', n::text) from generate_series(2, 3) n;
  perform publish_drain();
end
$$;
select bag_eq(
  $$select q.of_kind, q.source_id, q.sqlstate, q.message, q.attempts from publish_quarantine() q$$,
  $$values ('ratio', '2', '22012', 'division by zero', 1),
           ('ratio', '4', '22012', 'division by zero', 1),
           ('small', '1', 'PT422', 'the validator refused the payload', 1),
           ('small', '2', '22012', 'division by zero', 1)$$,
  'each with its reason');
select results_eq('select distinct q.of_kind from publish_quarantine(batch => 2) q',
                  $$values ('ratio')$$, 'oldest failure first');
select bag_eq($$select q.source_id from publish_quarantine('small') q$$,
                  $$values ('1'), ('2')$$, 'of one kind');
select results_eq($$select count(*) from publish_quarantine('ratio', 1) q$$, $$values (1::bigint)$$,
                  'at most batch of them');
select ok((select bool_and(q.due_at > q.last_failed_at
                           and q.first_failed_at = q.last_failed_at)
             from publish_quarantine() q), 'and when it is tried again');

-- by hand
delete from publish.outbox; -- a drain looks at its own transaction's rows again
update ratio set divisor = 2 where divisor = 0;
select results_eq('select d.scanned from publish_drain() d', $$values (0)$$,
                  'that the source was mended is not noticed before its time');
select is(publish_retry('ratio', '4'), 1, 'one key is tried again');
select results_eq('select d.scanned, d.published from publish_drain() d', $$values (1, 1)$$,
                  'by the next drain, and no other with it');
select bag_eq('select q.of_kind, q.source_id from publish_quarantine() q',
              $$values ('ratio', '2'), ('small', '1'), ('small', '2')$$, 'it is set free');
delete from publish.outbox;
select is(publish_retry('small'), 2, 'the keys of a kind are tried again');
select results_eq('select d.published, d.quarantined from publish_drain() d', $$values (1, 1)$$,
                  'one is right now, one is refused again');
select results_eq($$select q.source_id, q.attempts from publish_quarantine('small') q$$,
                  $$values ('1', 2)$$, 'which counts');
select is(publish_retry(), 2, 'all are tried again');

-- refused
select throws_ok($$select publish_quarantine('nothing')$$, 'PT404', null, 'not defined');
select throws_ok($$select publish_retry('ratio', '1')$$, 'PT404', null,
                 'a key that is not quarantined');
select throws_ok($$select publish_retry(null, '1')$$, 'PT400', null, 'a key without its kind');
select throws_ok('select publish_quarantine(batch => 0)', 'PT400', null, 'batch 0');

select * from finish();
rollback;
