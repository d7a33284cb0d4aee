-- publish_accept: process once.
begin;
select plan(15);

select is(pg_get_function_arguments('publish_accept'::regproc),
          'consumer text, message_id text, ttl interval DEFAULT NULL::interval',
          'arguments and defaults');
select is(publish_accept('c', 'm'), true, 'the first is accepted');
select is(publish_accept('c', 'm'), false, 'a redelivery is not');
select is(publish_accept('d', 'm'), true, 'another consumer has its own');
select is(publish_accept('c', 'n'), true, 'and another message');
update publish.accepted set expires_at = clock_timestamp() - interval '1 s' where message_id = 'm';
select is(publish_accept('c', 'm'), true, 'after its time to live it is forgotten');
select is(publish_accept('c', 'm'), false, 'and accepted anew');
do $$ begin perform publish_maintain(); end $$;
select is((select count(*) from publish.accepted), 2::bigint, 'maintenance removes what expired');
select throws_ok($$select publish_accept('', 'm')$$, 'PT400', null, 'no consumer');
select throws_ok($$select publish_accept('c', null)$$, 'PT400', null, 'no message');
select throws_ok($$select publish_accept('c', 'm', '0')$$, 'PT400', null, 'no time to live');

select throws_ok($$select publish_accept('c', 'm', '91 days')$$, 'PT400', null, 'at most 90 days');
select lives_ok($$select publish_accept('c', 'k', '90 days')$$, 'which are allowed');
set local role publish_reader;
select is(publish_accept('c', 'm'), true, 'what another role accepted says nothing');
reset role;
select is(publish_accept('c', 'm'), false, 'nor does it take anything away');

select * from finish();
rollback;
