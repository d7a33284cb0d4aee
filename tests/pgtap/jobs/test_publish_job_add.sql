-- publish_job_add: one row per id, and what is refused.
begin;
select plan(40);

select is(pg_get_function_arguments('publish_job_add'::regproc),
          'id text, kind text, data jsonb DEFAULT ''{}''::jsonb, '
          'run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, '
          'priority integer DEFAULT 0, max_attempts integer DEFAULT 10, '
          'backoff_min interval DEFAULT ''00:00:10''::interval, '
          'backoff_max interval DEFAULT ''01:00:00''::interval, '
          'unique_for interval DEFAULT NULL::interval', 'arguments and defaults');
select is(publish_job_add('a', 'export', '{"n": 1}'), true, 'a new id is added');
select results_eq(
  $$select j.kind, j.status, j.data, j.priority::int, j.attempts, j.max_attempts,
           j.due_at <= clock_timestamp()
      from publish.job j$$,
  $$values ('export', 'pending', '{"n": 1}'::jsonb, 0, 0, 10, true)$$, 'pending and due');
select is(publish_job_add('a', 'other', '{"n": 2}', priority => 5), false,
          'the same id again is not');
select results_eq('select j.kind, j.data, j.priority::int from publish.job j',
                  $$values ('export', '{"n": 1}'::jsonb, 0)$$, 'and changes nothing');
select is(publish_job_add('b', 'export', run_at => '2100-01-01'), true, 'one of later');
select is((select j.due_at from publish.job j where j.id = 'b'), '2100-01-01'::timestamptz,
          'is due then');
select is(publish_job_add('c', 'export', run_at => '1999-12-31'), true, 'one of long ago');
select is(publish_job_add('d', 'export', run_at => '1000-01-01 UTC'), true, 'the first time');
select is(publish_job_add('e', 'export', run_at => '9000-12-31 23:59:59 UTC'), true, 'the last');
select is(publish_job_add(repeat('x', 500), repeat('k', 200), priority => 100), true,
          'the longest names and the highest priority');
select is(publish_job_add('mb', 'export', jsonb_build_object('t', repeat('x', 1048567))), true,
          'data of 1 MB');

-- refused
create temp table refused (call text, why text);
insert into refused values
  ($$publish_job_add(null, 'k')$$, 'no id'),
  ($$publish_job_add('', 'k')$$, 'an empty id'),
  ($$publish_job_add(repeat('x', 501), 'k')$$, 'an id of 501 bytes'),
  ($$publish_job_add(repeat('x', 10000), 'k')$$, 'an id of 10,000 characters'),
  ($$publish_job_add('z', null)$$, 'no kind'),
  ($$publish_job_add('z', '')$$, 'an empty kind'),
  ($$publish_job_add('z', repeat('k', 201))$$, 'a kind of 201 bytes'),
  ($$publish_job_add('z', 'k', null)$$, 'no data'),
  ($$publish_job_add('z', 'k', '[1]')$$, 'data that is no object'),
  ($$publish_job_add('z', 'k', jsonb_build_object('t', repeat('x', 1048568)))$$,
   'data over 1 MB'),
  ($$publish_job_add('z', 'k', priority => -1)$$, 'a negative priority'),
  ($$publish_job_add('z', 'k', priority => 101)$$, 'a priority above 100'),
  ($$publish_job_add('z', 'k', priority => null)$$, 'no priority'),
  ($$publish_job_add('z', 'k', max_attempts => 0)$$, 'no attempt'),
  ($$publish_job_add('z', 'k', run_at => 'infinity')$$, 'never'),
  ($$publish_job_add('z', 'k', run_at => '-infinity')$$, 'before all time'),
  ($$publish_job_add('z', 'k', run_at => '0999-12-31 23:59:59 UTC')$$, 'too long ago'),
  ($$publish_job_add('z', 'k', run_at => '2024-01-01 BC')$$, 'before Christ'),
  ($$publish_job_add('z', 'k', run_at => '9001-01-01 UTC')$$, 'too late for any'),
  ($$publish_job_add('z', 'k', run_at => '10000-01-01')$$, 'a year of five digits'),
  ($$publish_job_add('z', 'k', backoff_min => '0')$$, 'no backoff'),
  ($$publish_job_add('z', 'k', backoff_min => '2 h')$$, 'backoff_min above backoff_max'),
  ($$publish_job_add('z', 'k', backoff_max => null)$$, 'no backoff_max'),
  ($$publish_job_add('z', 'k', backoff_max => '2 years')$$, 'a backoff of two years');
select throws_ok('select ' || r.call, 'PT400', null, r.why) from refused r;
select throws_ok($$select publish_job_add('z', 'k', '{"n": ')$$, '22P02', null,
                 'data that is no JSON does not get as far');
select is((select count(*) from publish.job j where j.id in ('z', '')), 0::bigint,
          'nothing of it was added');
select throws_ok($$update publish.job j set status = 'cancelled'$$, '23514', null,
                 'the table knows five statuses only');
select throws_ok($$update publish.job j set due_at = '9001-01-01 UTC'$$, '23514', null,
                 'and no time that a client might not be able to read');

select * from finish();
rollback;
