-- Refused in a transaction whose snapshot may be older than the lock that is taken.
begin;
set transaction isolation level repeatable read;
select plan(3);

select throws_ok('select publish_drain()', 'PT400', null, 'draining');
select throws_ok('select publish_maintain()', 'PT400', null, 'maintenance');
select lives_ok($$select publish_define('note'); select publish_enqueue('note', '1', '{}')$$,
                'enqueuing is possible in any isolation level');

select * from finish();
rollback;
