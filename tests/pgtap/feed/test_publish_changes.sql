-- publish_changes: pages of the feed in rev order, and cursors that cannot be continued.
begin;
select plan(35);

select is(pg_get_function_arguments('publish_changes'::regproc),
          'since bigint DEFAULT 0, batch integer DEFAULT 500, kinds text[] DEFAULT NULL::text[], '
          'base bigint DEFAULT NULL::bigint, epoch uuid DEFAULT NULL::uuid',
          'arguments and defaults');
select is(pg_get_function_result('publish_changes'::regproc),
          'TABLE(rev bigint, kind text, pub_id uuid, schema_version integer, deleted boolean, '
          'payload jsonb, payload_hash bytea, headers jsonb, created_at timestamp with time zone, '
          'updated_at timestamp with time zone, key text)', 'eleven columns');
select volatility_is('public', 'publish_changes', 'stable', 'stable: it may run on a standby');

select is_empty('select * from publish_changes()', 'an empty feed');
select is_empty('select * from publish_changes(0, base => 0)', 'is no broken one');

do $$
begin
  perform publish_define('note');
  perform publish_define('event', schema_version => 3);
  perform publish_enqueue('note', 'a', '{"n": 1}');
  perform publish_enqueue('event', 'x', '{"n": 2}', headers => '{"h": 1}');
  perform publish_enqueue('note', 'b', '{"n": 3}');
  perform publish_enqueue('event', 'y', '{"n": 4}');
  perform publish_enqueue('note', 'c', '{"n": 5}');
  perform publish_drain();
  perform publish_enqueue('note', 'a', deleted => true);
  perform publish_enqueue('note', 'b', '{"n": 7}');
  perform publish_drain();
end
$$;

select results_eq(
  'select c.rev, c.kind, c.deleted, c.payload from publish_changes() c',
  $$values (2::bigint, 'event', false, '{"n": 2}'::jsonb), (4, 'event', false, '{"n": 4}'),
           (5, 'note', false, '{"n": 5}'), (6, 'note', true, null),
           (7, 'note', false, '{"n": 7}')$$,
  'each key once, at its newest rev, in rev order');
select results_eq(
  'select c.schema_version, c.headers, c.payload_hash from publish_changes(1, 1) c',
  $$values (3, '{"h": 1}'::jsonb, sha256('{"n": 2}'))$$, 'with version, headers and hash');
select results_eq('select c.rev from publish_changes(4) c', $$values (5::bigint), (6), (7)$$,
                  'what comes after since');
select results_eq('select c.rev from publish_changes(3) c', $$values (4::bigint), (5), (6), (7)$$,
                  'since need not be a rev that is still there');
select results_eq('select c.rev from publish_changes(0, 2) c', $$values (2::bigint), (4)$$,
                  'at most batch');
select is_empty('select * from publish_changes(7)', 'nothing after the head');

select results_eq($$select c.rev from publish_changes(0, kinds => '{event}') c$$,
                  $$values (2::bigint), (4)$$, 'one kind');
select results_eq($$select c.rev from publish_changes(2, 2, '{event,note,event}') c$$,
                  $$values (4::bigint), (5)$$, 'several kinds, in one order');
select is_empty($$select * from publish_changes(0, kinds => '{}')$$, 'no kind at all');

select results_eq('select c.rev from publish_changes(0, base => 7) c',
                  $$values (2::bigint), (4), (5), (7)$$,
                  'a reader that began at base needs no tombstone up to it');
select results_eq('select c.rev from publish_changes(0, base => 5) c',
                  $$values (2::bigint), (4), (5), (6), (7)$$, 'but those above it');
select results_eq($$select c.rev from publish_changes(0, 2, '{note}', 7) c$$,
                  $$values (5::bigint), (7)$$, 'with kinds too');
select results_eq(
  $$select count(*) from publish_changes(0, epoch => (select e.epoch from publish.epoch e))$$,
  $$values (5::bigint)$$, 'the present epoch');

-- since
select throws_ok('select publish_changes(8)', 'PT410', null, 'above the head');
select throws_ok('select publish_changes(-1)', 'PT400', null, 'negative');
select throws_ok('select publish_changes(null)', 'PT400', null, 'null');
select throws_ok('select publish_changes(0, base => -1)', 'PT400', null, 'a negative base');
select throws_ok('select publish_changes(0, 0)', 'PT400', null, 'batch 0');
select throws_ok('select publish_changes(0, null)', 'PT400', null, 'batch null');
select throws_ok($$select publish_changes(0, kinds => '{note,nothing}')$$, 'PT404', null,
                 'a kind that is not defined');

-- epochs: 7 is the head, the first epoch ended at 5
select throws_ok($$select publish_changes(0, epoch => '00000000-0000-0000-0000-000000000000')$$,
                 'PT410', null, 'an epoch that was never here');
create temp table first_epoch as select e.epoch from publish.epoch e;
insert into publish.epoch
  (epoch_no, cause, first_rev, system_identifier, timeline, database_oid, relation_oid)
select 2, 'promotion', 5, e.system_identifier, e.timeline + 1, e.database_oid, e.relation_oid
  from publish.epoch e;
select results_eq('select c.rev from first_epoch f, publish_changes(5, epoch => f.epoch) c',
                  $$values (6::bigint), (7)$$,
                  'a reader of the old epoch that is not above its end goes on');
select throws_ok('select publish_changes(6, epoch => f.epoch) from first_epoch f', 'PT410',
                 null, 'one above it must begin again');

-- the floor of each kind
insert into publish.floor (kind, floor, pruned) values ('note', 4, 1), ('note', 3, 1);
select throws_ok('select publish_changes(3)', 'PT410', null, 'below what was pruned');
select results_eq('select c.rev from publish_changes(3, 1, base => 7) c', $$values (4::bigint)$$,
                  'a first sync does not trip over it');
select results_eq('select c.rev from publish_changes(0, 1) c', $$values (2::bigint)$$,
                  'nor does the beginning');
select throws_ok($$select publish_changes(3, kinds => '{event,note}')$$, 'PT410', null,
                 'of a kind that is read');
select results_eq($$select c.rev from publish_changes(3, kinds => '{event}') c$$,
                  $$values (4::bigint)$$, 'of another kind says nothing');
insert into publish.floor (kind, floor, pruned) values ('event', 6, 1);
select throws_ok('select publish_changes(5)', 'PT410', null, 'the highest counts for all kinds');
select results_eq($$select c.rev from publish_changes(5, kinds => '{note}') c$$,
                  $$values (6::bigint), (7)$$, 'and its own for each');

select * from finish();
rollback;
