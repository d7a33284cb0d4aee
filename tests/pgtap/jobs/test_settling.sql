-- publish_job_beat, _done, _fail, _release: with the right token only, while the lease runs.
begin;
select plan(67);

create temp table run (name text, id text, token bigint);
create function pg_temp.run(name text, lease interval default '1 minute') returns bigint
language sql as $$
  select publish_job_add(run.name, 'k', '{"a": 1}', max_attempts => 3);
  delete from pg_temp.run r where r.id = run.name;
  insert into pg_temp.run
  select run.name, s.id, s.token
    from publish_job_start(run.name, worker => 'w', lease => run.lease) s
  returning token;
$$;
create function pg_temp.token(name text) returns bigint language sql as $$
  select r.token from pg_temp.run r where r.name = token.name
$$;
create function pg_temp.expire(name text) returns void language sql as $$
  update publish.job j set due_at = clock_timestamp() where j.id = expire.name
$$;

-- beat
select isnt(pg_temp.run('beat'), null, 'a job runs');
select cmp_ok(publish_job_beat('beat', pg_temp.token('beat')), '<=',
              clock_timestamp() + '1 minute', 'a beat extends by the lease it was started with');
select results_eq(
  $$select j.status, j.beat_at is not null, j.attempts, j.data from publish.job j
     where j.id = 'beat'$$,
  $$values ('running', true, 1, '{"a": 1}'::jsonb)$$, 'and saves nothing');
select cmp_ok(publish_job_beat('beat', pg_temp.token('beat'), lease => '1 hour'), '>',
              clock_timestamp() + '59 minutes', 'or by the one it is given');
select cmp_ok(publish_job_beat('beat', pg_temp.token('beat')), '>',
              clock_timestamp() + '59 minutes', 'which stays');
select lives_ok($$select publish_job_beat('beat', pg_temp.token('beat'), '{"b": 2}')$$, 'with data');
select lives_ok($$select publish_job_beat('beat', pg_temp.token('beat'), '{"a": 3}')$$, 'and more');
select results_eq($$select j.data, j.attempts from publish.job j where j.id = 'beat'$$,
                  $$values ('{"a": 3, "b": 2}'::jsonb, 1)$$,
                  'it is merged into the job''s, and is no progress by itself');
select throws_ok($$select publish_job_beat('beat', pg_temp.token('beat'), '[]')$$, 'PT400', null,
                 'data that is no object');
select throws_ok($$select publish_job_beat('beat', pg_temp.token('beat'),
                                           jsonb_build_object('x', repeat('x', 1048568)))$$,
                 'PT400', null, 'data over 1 MB');
select lives_ok($$select publish_job_beat('beat', pg_temp.token('beat'),
                                          jsonb_build_object('x', repeat('x', 600000)))$$,
                'some of it');
select throws_ok($$select publish_job_beat('beat', pg_temp.token('beat'),
                                           jsonb_build_object('y', repeat('y', 600000)))$$,
                 'PT400', null, 'over 1 MB together with what was saved');
select throws_ok($$select publish_job_done('beat', pg_temp.token('beat'),
                                           jsonb_build_object('y', repeat('y', 600000)))$$,
                 'PT400', null, 'at the end too');
select throws_ok($$select publish_job_beat('beat', pg_temp.token('beat'), lease => '0')$$, 'PT400',
                 null, 'no lease');
select throws_ok($$select publish_job_beat('beat', pg_temp.token('beat'), lease => '2 years')$$,
                 'PT400', null, 'one of two years');
select is((select j.status from publish.job j where j.id = 'beat'), 'running', 'it still runs');

-- done
select isnt(pg_temp.run('done'), null, 'a job runs');
select lives_ok($$select publish_job_done('done', pg_temp.token('done'), '{"rows": 7}')$$, 'done');
select results_eq(
  $$select j.status, j.attempts, j.due_at, j.finished_at is not null, j.data
      from publish.job j where j.id = 'done'$$,
  $$values ('succeeded', 0, null::timestamptz, true, '{"a": 1, "rows": 7}'::jsonb)$$,
  'succeeded, with its last data');
select throws_ok($$select publish_job_done('done', pg_temp.token('done'))$$, 'PT409', null,
                 'done twice is refused');
select throws_ok($$select publish_job_fail('done', pg_temp.token('done'), 'E', 'm')$$, 'PT409', null,
                 'failed after it was done too');

-- fail
select isnt(pg_temp.run('fail'), null, 'a job runs');
select results_eq(
  $$select f.status, f.due_at - clock_timestamp() between '4 s' and '10 s'
      from publish_job_fail('fail', pg_temp.token('fail'), '22012', 'division by zero', 'line 1') f$$,
  $$values ('failed', true)$$, 'failed once: due in ten seconds at most');
select results_eq(
  $$select j.status, j.attempts, j.finished_at is not null from publish.job j where j.id = 'fail'$$,
  $$values ('failed', 1, true)$$, 'and counted');
select is_empty($$select publish_job_start(kinds => '{k}')$$, 'its kind''s workers wait until then');
select isnt(pg_temp.run('fail'), null, 'by id it may start at once');
select results_eq(
  $$select f.status, f.due_at - clock_timestamp() between '9 s' and '20 s'
      from publish_job_fail('fail', pg_temp.token('fail'), 'ValueError', 'no', null) f$$,
  $$values ('failed', true)$$, 'failed twice: it waits twice as long');
select isnt(pg_temp.run('fail'), null, 'a third start');
select results_eq(
  $$select f.status, f.due_at
      from publish_job_fail('fail', pg_temp.token('fail'), null, null, null) f$$,
  $$values ('ignored', null::timestamptz)$$, 'failed max_attempts times: ignored');
select throws_ok($$select publish_job_start('fail')$$, 'PT410', null, 'it starts no more');
select results_eq(
  $$select e.attempt, e.error, e.message, e.traceback, e.worker from publish_job_errors('fail') e$$,
  $$values (3, 'unknown', '', null, 'w'), (2, 'ValueError', 'no', null, 'w'),
           (1, '22012', 'division by zero', 'line 1', 'w')$$, 'every failure is kept');
select results_eq($$select e.attempt from publish_job_errors('fail', 1) e$$, $$values (3)$$,
                  'the newest first, at most batch');
select throws_ok($$select publish_job_errors('nope')$$, 'PT404', null, 'of a job there is');
select lives_ok($$select publish_job_retry('fail')$$, 'it is put back');
select isnt(pg_temp.run('fail'), null, 'and starts again');
select lives_ok(
  $$select publish_job_fail('fail', pg_temp.token('fail'), repeat('e', 999), repeat('m', 99999),
                            repeat('t', 99999) || 'the end')$$, 'a failure with much to say');
select results_eq(
  $$select e.attempt, length(e.error), length(e.message), length(e.traceback), right(e.traceback, 3)
      from publish_job_errors('fail', 1) e$$,
  $$values (1, 200, 10000, 20000, 'end')$$, 'is cut, the traceback from its beginning');
select isnt(pg_temp.run('fail'), null, 'started once more');
select lives_ok($$select publish_job_done('fail', pg_temp.token('fail'))$$, 'it succeeds');
select is((select j.attempts from publish.job j where j.id = 'fail'), 0,
          'success forgets the attempts');
select is((select count(*) from publish_job_errors('fail')), 4::bigint, 'but no error');

-- release
select isnt(pg_temp.run('release'), null, 'a job runs');
select lives_ok($$select publish_job_beat('release', pg_temp.token('release'), '{"at": 5}')$$,
                'it saves');
select lives_ok($$select publish_job_release('release', pg_temp.token('release'))$$,
                'it is handed back');
select results_eq(
  $$select j.status, j.attempts, j.due_at <= clock_timestamp(), j.data
      from publish.job j where j.id = 'release'$$,
  $$values ('pending', 0, true, '{"a": 1, "at": 5}'::jsonb)$$,
  'due at once, not counted, with its data');
select is_empty($$select publish_job_errors('release')$$, 'which is no failure');
select is(s.id, 'release', 'and the next may have it') from publish_job_start(kinds => '{k}') s;

-- another token, no token, an expired lease
select isnt(pg_temp.run('held'), null, 'a job runs');
create temp table call (f text);
insert into call values
  ('publish_job_beat(%L, %s)'), ('publish_job_done(%L, %s)'), ('publish_job_release(%L, %s)'),
  ($$publish_job_fail(%L, %s, 'E', 'm')$$);
select throws_ok(format('select ' || c.f, 'held', pg_temp.token('held') - 1), 'PT409', null,
                 'another token: ' || c.f) from call c;
select throws_ok(format('select ' || c.f, 'held', 'null'), 'PT409', null, 'no token: ' || c.f)
  from call c;
select throws_ok(format('select ' || c.f, 'nope', 1), 'PT404', null, 'no such job: ' || c.f)
  from call c;
select lives_ok($$select pg_temp.expire('held')$$, 'its lease runs out');
select throws_ok(format('select ' || c.f, 'held', pg_temp.token('held')), 'PT409', null,
                 'too late, though nobody else has the job: ' || c.f) from call c;
select results_eq($$select j.status, j.data from publish.job j where j.id = 'held'$$,
                  $$values ('running', '{"a": 1}'::jsonb)$$, 'nothing was changed');

-- backoff
select results_eq(
  $$select publish.backoff(w.n, '1 s', '10 s') between w.most / 2 and w.most
      from (values (0, interval '1 s'), (1, '1 s'), (2, '2 s'), (4, '8 s'), (5, '10 s'),
                   (1000000, '10 s')) as w (n, most)$$,
  $$values (true), (true), (true), (true), (true), (true)$$,
  'doubles from backoff_min to backoff_max, half of it random');

select * from finish();
rollback;
