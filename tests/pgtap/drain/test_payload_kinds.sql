-- Kinds without a view: the payload comes with the enqueue, and the highest payload_no wins.
begin;
select plan(14);

do $$
begin
  perform publish_define('note');
end
$$;
create function pg_temp.drain(payload jsonb, out published int, out unchanged int)
language plpgsql as $$
begin
  perform publish_enqueue('note', 'k', payload, payload is null);
  select d.published, d.unchanged into published, unchanged from publish_drain() d;
end
$$;

select results_eq($$select * from pg_temp.drain('{"a": 1, "b": 2}')$$, $$values (1, 0)$$, 'new');
select results_eq($$select * from pg_temp.drain('{"b": 2, "a": 1}')$$, $$values (0, 1)$$,
                  'the same in another order of keys is the same');
select results_eq($$select * from pg_temp.drain('{"a": 1.0, "b": 2}')$$, $$values (1, 0)$$,
                  '1 and 1.0 are equal jsonb and not the same text: published');
select results_eq($$select * from pg_temp.drain('null')$$, $$values (1, 0)$$,
                  'JSON null is a payload');
create temp table before as select publish_pub_id('note', 'k') as pub_id;
select results_eq($$select * from pg_temp.drain(null)$$, $$values (1, 0)$$, 'deleted');
select results_eq($$select p.deleted, p.payload, p.payload_hash from publish.published p$$,
                  $$values (true, null::jsonb, null::bytea)$$, 'a tombstone has no payload');
select results_eq($$select * from pg_temp.drain(null)$$, $$values (0, 1)$$, 'deleted again');
select results_eq($$select * from pg_temp.drain('{"a": 1}')$$, $$values (1, 0)$$, 'created again');
select is(publish_pub_id('note', 'k'), (select b.pub_id from before b), 'the pub_id is kept');
select is((select p.payload_hash from publish.published p), sha256('{"a": 1}'),
          'the hash is that of the jsonb text');

-- a deletion of what was never published
do $$
begin
  perform publish_enqueue('note', 'never', deleted => true);
end
$$;
select results_eq('select d.published from publish_drain() d', $$values (1)$$,
                  'is published: the application says it was there');

-- payload_no
do $$
declare
  v_lower bigint := nextval('publish.payload_no');
begin
  perform publish_enqueue('note', 'k', '{"a": "newer"}');
  insert into publish.outbox (kind, source_ids, payload_no, payload)
  values ('note', '{k}', v_lower, '{"a": "older"}');
end
$$;
select results_eq('select d.published from publish_drain() d', $$values (1)$$,
                  'two payloads of one key, the newer one written first');
select is((select p.payload from publish.published p where p.source_id = 'k'),
          '{"a": "newer"}'::jsonb, 'the highest payload_no wins');

-- headers
do $$
begin
  perform publish_enqueue('note', 'h', '{}', headers => '{"traceparent": "00-1"}');
  perform publish_drain();
  perform publish_enqueue('note', 'h', '{}', headers => '{"traceparent": "00-2"}');
  perform publish_drain();
end
$$;
select is((select p.headers from publish.published p where p.source_id = 'h'),
          '{"traceparent": "00-1"}'::jsonb,
          'headers are those of the change; other headers are no change');

select * from finish();
rollback;
