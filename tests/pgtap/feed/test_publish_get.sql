-- publish_get: what is published under a pub_id now.
begin;
select plan(11);

select is(pg_get_function_arguments('publish_get'::regproc),
          'INOUT kind text, INOUT pub_id uuid, OUT rev bigint, OUT schema_version integer, '
          'OUT deleted boolean, OUT payload jsonb, OUT payload_hash bytea, OUT headers jsonb, '
          'OUT created_at timestamp with time zone, OUT updated_at timestamp with time zone, '
          'OUT key text',
          'arguments and columns');
select volatility_is('public', 'publish_get', 'stable', 'stable: it may run on a standby');

do $$
begin
  perform publish_define('note');
  perform publish_define('event');
  perform publish_enqueue('note', 'a', '{"n": 1}', headers => '{"h": 1}');
  perform publish_drain();
end
$$;
create temp table known as select publish_pub_id('note', 'a') as pub_id;

select results_eq(
  $$select g.kind, g.pub_id, g.rev, g.schema_version, g.deleted, g.payload, g.payload_hash,
           g.headers
      from known k, publish_get('note', k.pub_id) g$$,
  $$select 'note', k.pub_id, 1::bigint, 1, false, '{"n": 1}'::jsonb, sha256('{"n": 1}'),
           '{"h": 1}'::jsonb from known k$$,
  'one row');
do $$
begin
  perform publish_enqueue('note', 'a', '{"n": 2}');
  perform publish_drain();
end
$$;
select results_eq($$select g.rev, g.payload from known k, publish_get('note', k.pub_id) g$$,
                  $$values (2::bigint, '{"n": 2}'::jsonb)$$, 'the newest');
select results_eq(
  $$select g.updated_at > g.created_at from known k, publish_get('note', k.pub_id) g$$,
  $$values (true)$$, 'created_at stays, updated_at moves');
do $$
begin
  perform publish_enqueue('note', 'a', deleted => true);
  perform publish_drain();
end
$$;
select results_eq(
  $$select g.rev, g.deleted, g.payload from known k, publish_get('note', k.pub_id) g$$,
  $$values (3::bigint, true, null::jsonb)$$, 'a tombstone when it was deleted');

select is_empty($$select * from publish_get('note', gen_random_uuid())$$,
                'none for another pub_id');
select is_empty($$select g.* from known k, publish_get('event', k.pub_id) g$$,
                'none in another kind');
select is_empty($$select * from publish_get('note', null)$$, 'none for null');
select throws_ok($$select publish_get('nothing', gen_random_uuid())$$, 'PT404', null,
                 'a kind that is not defined');
select throws_ok($$select publish_get(null, gen_random_uuid())$$, 'PT404', null, 'no kind');

select * from finish();
rollback;
