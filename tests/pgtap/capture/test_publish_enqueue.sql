-- publish_enqueue, the call: what an application may hand over, and what is refused.
begin;
select plan(34);

select is(
  pg_get_function_arguments(
    'publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz)'::regprocedure),
  'kind text, source_id text, payload jsonb DEFAULT NULL::jsonb, deleted boolean DEFAULT false, '
  'headers jsonb DEFAULT NULL::jsonb, '
  'available_at timestamp with time zone DEFAULT NULL::timestamp with time zone',
  'arguments and defaults');
select is(
  pg_get_function_result(
    'publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz)'::regprocedure),
  'bigint', 'returns the seq of the row');

create table article (id int primary key);
create view shown as select a.* from article a;
create function has_title(payload jsonb) returns boolean return payload ? 'title';
create function cannot_say(payload jsonb) returns boolean return null::boolean;
do $$
begin
  perform publish_define('note');
  perform publish_define('article', 'shown');
  perform publish_define('titled', validator => 'has_title(jsonb)');
  perform publish_define('lenient', validator => 'cannot_say(jsonb)');
  perform publish_define('it''s "новый" 新しい kind');
end
$$;

-- accepted
create temp table enqueued as
  select publish_enqueue('note', '1', '{"a": 1}', headers => '{"traceparent": "00-1"}') as seq;
select is((select e.seq from enqueued e), (select o.payload_no from publish.outbox o),
          'the seq returned is the row''s payload_no');
select results_eq(
  $$select o.kind, o.source_ids, o.payload, o.deleted, o.headers, o.xid from publish.outbox o$$,
  $$values ('note', '{1}'::text[], '{"a": 1}'::jsonb, false, '{"traceparent": "00-1"}'::jsonb,
            pg_current_xact_id())$$,
  'the row carries what was given and the transaction that gave it');
select cmp_ok(publish_enqueue('note', '1', '{"a": 2}'), '<', publish_enqueue('note', '1', '{}'),
              'a later call has a higher seq');
select lives_ok($$select publish_enqueue('note', '1', deleted => true)$$, 'a deletion');
select lives_ok($$select publish_enqueue('note', '2', 'null')$$, 'JSON null is a payload');
select lives_ok($$select publish_enqueue('article', '1')$$, 'a key of a projected kind');
select lives_ok($$select publish_enqueue('article', 'no number')$$,
                'a key that the view cannot have: the drain sets it aside');
select lives_ok($$select publish_enqueue('it''s "новый" 新しい kind', 'ключ "1"', '{}')$$,
                'quotes and unicode in kind and key');
select lives_ok($$select publish_enqueue('note', repeat('é', 1000), '{}')$$, 'a key of 2000 bytes');
select lives_ok(
  $$select publish_enqueue('note', 'large', jsonb_build_object('text', repeat('x', 1000000)))$$,
  'a payload of 1 MB');
select lives_ok($$select publish_enqueue('titled', '1', '{"title": "t"}')$$,
                'a payload that the validator accepts');
select lives_ok($$select publish_enqueue('titled', '1', deleted => true)$$,
                'a deletion is not validated');
select lives_ok($$select publish_enqueue('lenient', '1', '{}')$$,
                'a validator that returns null has no objection');

-- delayed
select lives_ok(
  $$select publish_enqueue('note', 'late', '{}', available_at => now() + interval '1 h')$$,
  'a time to come');
select is_empty($$select from publish.outbox o where 'late' = any (o.source_ids)$$,
                'it is not in the outbox yet');
select results_eq($$select d.kind, d.payload, d.due_at from publish.deferred d$$,
                  $$values ('note', '{}'::jsonb, now() + interval '1 h')$$, 'it waits');
select lives_ok($$select publish_enqueue('note', 'past', '{}', available_at => '-infinity')$$,
                'a time gone by');
select isnt_empty($$select from publish.outbox o where 'past' = any (o.source_ids)$$,
                  'goes to the outbox at once');

-- refused
select throws_ok($$select publish_enqueue('nothing', '1', '{}')$$, 'PT404', null,
                 'a kind that is not defined');
select throws_ok($$select publish_enqueue(null, '1', '{}')$$, 'PT404', null, 'no kind');
select throws_ok($$select publish_enqueue('note', null, '{}')$$, 'PT400', null, 'no source_id');
select throws_ok($$select publish_enqueue('note', '', '{}')$$, 'PT400', null, 'an empty source_id');
select throws_ok($$select publish_enqueue('note', repeat('é', 1001), '{}')$$, 'PT400', null,
                 'a source_id of 2002 bytes');
select throws_ok($$select publish_enqueue('note', '1')$$, 'PT400', null,
                 'no payload for a payload kind');
select throws_ok($$select publish_enqueue('note', '1', '{}', true)$$, 'PT400', null,
                 'a payload and a deletion in one');
select throws_ok($$select publish_enqueue('note', '1', '{}', null)$$, 'PT400', null,
                 'deleted null');
select throws_ok($$select publish_enqueue('article', '1', '{}')$$, 'PT400', null,
                 'a payload for a projected kind');
select throws_ok($$select publish_enqueue('article', '1', deleted => true)$$, 'PT400', null,
                 'a deletion for a projected kind: the view says that');
select throws_ok($$select publish_enqueue('note', '1', '{}', available_at => 'infinity')$$,
                 'PT400', null, 'a time that never comes');
select throws_ok($$select publish_enqueue('titled', '1', '{}')$$, 'PT422', null,
                 'a payload that the validator refuses');
select throws_ok($$select publish_enqueue('note', '1', '"\u0000"')$$, '22P05', null,
                 '\u0000, which jsonb does not hold');
select is(
  (select count(*) from publish.outbox o where o.kind = 'titled'), 2::bigint,
  'what is refused leaves nothing');

select * from finish();
rollback;
