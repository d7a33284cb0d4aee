-- publish_pub_id and publish_head: the two small questions.
begin;
select plan(13);

select is(pg_get_function_arguments('publish_pub_id'::regproc), 'kind text, source_id text',
          'arguments of publish_pub_id');
select is(pg_get_function_result('publish_pub_id'::regproc), 'uuid', 'returns one uuid');
select volatility_is('public', 'publish_pub_id', 'stable', 'stable: it may run on a standby');
select is(pg_get_function_arguments('publish_head'::regproc), '', 'publish_head takes nothing');
select is(pg_get_function_result('publish_head'::regproc), 'bigint', 'returns one rev');
select volatility_is('public', 'publish_head', 'stable', 'stable: it may run on a standby');

select is(publish_head(), 0::bigint, 'the head before the first change');
do $$
begin
  perform publish_define('note');
  perform publish_enqueue('note', 'a', '{}');
  perform publish_enqueue('note', 'b', '{}');
  perform publish_drain();
end
$$;
select is(publish_head(), 2::bigint, 'is the highest rev after it');
select is((select c.pub_id from publish_changes(0, 1) c), publish_pub_id('note', 'a'),
          'the pub_id is what the feed calls the key');
select isnt(publish_pub_id('note', 'a'), publish_pub_id('note', 'b'), 'each key has its own');
select is(publish_pub_id('note', 'never'), null, 'null for a key never published');
select is(publish_pub_id('note', null), null, 'null for null');
select throws_ok($$select publish_pub_id('nothing', 'a')$$, 'PT404', null,
                 'a kind that is not defined');

select * from finish();
rollback;
