-- publish_job_step, _steps, _limit, _limits, _schedule, _unschedule, _schedules: contracts.
begin;
select plan(42);

select is(pg_get_function_arguments('publish_job_step'::regproc),
          'id text, token bigint, name text, result jsonb DEFAULT NULL::jsonb', 'arguments');
do $$
begin
  perform publish_job_add('j', 'k', max_attempts => 3);
end
$$;
create temp table run as select s.token from publish_job_start('j') s;
select is(publish_job_step('j', r.token, 'charge'), null, 'a step that was not done') from run r;
select is(publish_job_step('j', r.token, 'charge', '{"n": 1}'), '{"n": 1}'::jsonb, 'is kept')
  from run r;
select is(publish_job_step('j', r.token, 'charge'), '{"n": 1}'::jsonb, 'and found') from run r;
select is(publish_job_step('j', r.token, 'charge', '{"n": 2}'), '{"n": 1}'::jsonb,
          'the first result stays') from run r;
select is(publish_job_step('j', r.token, 'mail', 'null'), 'null'::jsonb, 'a JSON null is kept')
  from run r;
select is((select j.attempts from publish.job j), 0, 'a step is progress');
select results_eq('select s.name, s.result from publish_job_steps(''j'') s',
                  $$values ('charge', '{"n": 1}'::jsonb), ('mail', 'null'::jsonb)$$, 'listed');
select throws_ok($$select publish_job_step('j', r.token - 1, 'x') from run r$$, 'PT409', null,
                 'another token');
select throws_ok($$select publish_job_step('j', r.token - 1, 'x', '1') from run r$$, 'PT409', null,
                 'with a result too');
select throws_ok($$select publish_job_step('nope', 1, 'x')$$, 'PT404', null, 'no such job');
select throws_ok($$select publish_job_steps('nope')$$, 'PT404', null, 'to list, neither');
select throws_ok($$select publish_job_step('j', r.token, '') from run r$$, 'PT400', null,
                 'an empty name');
select throws_ok($$select publish_job_step('j', r.token, null) from run r$$, 'PT400', null,
                 'no name');
select throws_ok($$select publish_job_step('j', r.token, repeat('x', 201)) from run r$$, 'PT400',
                 null, 'a name of 201 bytes');
select throws_ok($$select publish_job_step('j', r.token, 'x', to_jsonb(repeat('x', 1048575)))
                     from run r$$, 'PT400', null, 'a result over 1 MB');
select lives_ok($$update publish.job j set due_at = clock_timestamp()$$, 'the lease runs out');
select throws_ok($$select publish_job_step('j', r.token, 'x') from run r$$, 'PT409', null,
                 'then no step begins');
select isnt((select s.token from publish_job_start('j') s), null, 'another run');
select is(publish_job_step('j', j.token, 'charge'), '{"n": 1}'::jsonb, 'finds what was done')
  from publish.job j;
select is(publish_job_step('j', j.token, 'charge', '4'), '{"n": 1}'::jsonb, 'can keep it again')
  from publish.job j;
select is(j.attempts, 1, 'which is no progress') from publish.job j;
select lives_ok('select publish_job_done(j.id, j.token) from publish.job j', 'success');
select is((select count(*) from publish_job_steps('j')), 2::bigint, 'its steps can be looked at');
select isnt((select s.token from publish_job_start('j') s), null, 'it runs again');
select is(publish_job_step('j', j.token, 'charge'), null, 'and does its steps again')
  from publish.job j;
select is(publish_job_step('j', j.token, 'charge', '3'), '3'::jsonb, 'with new results')
  from publish.job j;
select is((select count(*) from publish.job_step), 1::bigint, 'the old ones are gone');

-- limits
select lives_ok($$select publish_job_limit('k', 1)$$, 'a limit');
select lives_ok($$select publish_job_add('j2', 'k')$$, 'a job that waits');
select is_empty($$select publish_job_start(kinds => '{k}')$$, 'is not started beside another');
select throws_ok($$select publish_job_start('j2')$$, 'PT423', null, 'by id neither');
select results_eq('select l.kind, l.max_running, l.running from publish_job_limits() l',
                  $$values ('k', 1, 1)$$, 'the limit is reached');
select lives_ok($$select publish_job_limit('k', null)$$, 'none');
select is(s.id, 'j2', 'it is started') from publish_job_start(kinds => '{k}') s;
select is_empty('select publish_job_limits()', 'no limit is left');

-- schedules
select is(pg_get_function_arguments('publish_job_schedule'::regproc),
          'name text, kind text, cron text, time_zone text DEFAULT ''UTC''::text, '
          'data jsonb DEFAULT ''{}''::jsonb, priority integer DEFAULT 0, '
          'max_attempts integer DEFAULT 10, missed text DEFAULT ''once''::text', 'arguments');
select is((publish_job_schedule('s', 'n', '0 3 * * *', 'Asia/Tokyo') at time zone 'UTC')::time,
          '18:00'::time, 'returns the next time');
select results_eq(
  $$select s.name, s.kind, s.cron, s.time_zone, s.missed, s.last_at, s.fault, s.data
      from publish_job_schedules() s$$,
  $$values ('s', 'n', '0 3 * * *', 'Asia/Tokyo', 'once', null::timestamptz, null::text,
            '{}'::jsonb)$$, 'listed');
select throws_ok($$select publish_job_schedule('s', 'n', 'x')$$, 'PT400', null, 'a bad expression');
select lives_ok($$select publish_job_unschedule('s')$$, 'it recurs no more');
select throws_ok($$select publish_job_unschedule('s')$$, 'PT404', null, 'nor can it be ended twice');

select * from finish();
rollback;
