-- publish_job_start: which job, by id and by kind, and what it returns.
begin;
select plan(49);

select is(pg_get_function_arguments('publish_job_start'::regproc),
          'INOUT id text DEFAULT NULL::text, kinds text[] DEFAULT NULL::text[], '
          'worker text DEFAULT NULL::text, lease interval DEFAULT ''00:01:00''::interval, '
          'client_pid integer DEFAULT NULL::integer, OUT kind text, OUT data jsonb, '
          'OUT token bigint, OUT attempt integer, OUT max_attempts integer',
          'arguments, defaults and columns');
select is_empty($$select publish_job_start(kinds => '{a}')$$, 'no job: no row');

-- order
do $$
begin
  perform publish_job_add('late', 'a', run_at => '2000-01-03');
  perform publish_job_add('early', 'a', run_at => '2000-01-02');
  perform publish_job_add('urgent', 'a', run_at => '2000-01-04', priority => 7);
  perform publish_job_add('most urgent', 'a', run_at => '2100-01-01', priority => 8);
  perform publish_job_add('other', 'b', run_at => '2000-01-01');
  perform publish_job_add('other urgent', 'b', run_at => '2000-01-05', priority => 7);
  perform publish_job_add('of no worker', 'c', run_at => '1999-01-01', priority => 9);
end
$$;
select is(s.id, 'urgent', 'the highest priority of what is due goes first')
  from publish_job_start(kinds => '{a}') s;
select is(s.id, 'other urgent', 'over all the kinds asked for')
  from publish_job_start(kinds => '{a,b}') s;
select is(s.id, 'other', 'then what is due longest') from publish_job_start(kinds => '{a,b}') s;
select is(s.id, 'early', 'of one kind') from publish_job_start(kinds => '{a,b}') s;
select is(s.id, 'late', 'after another') from publish_job_start(kinds => '{b,a}') s;
select is_empty($$select publish_job_start(kinds => '{a,b}')$$,
                'what runs, is of later, or of another kind is not started');
select is((select count(*) from publish.job j where j.status = 'running'), 5::bigint, 'five run');

-- what is returned and written
do $$
begin
  perform publish_job_add('x', 'k', '{"n": 1}', max_attempts => 3);
end
$$;
create temp table started as
  select * from publish_job_start('x', worker => 'w1', lease => '10 minutes');
select results_eq('select s.id, s.kind, s.data, s.attempt, s.max_attempts from started s',
                  $$values ('x', 'k', '{"n": 1}'::jsonb, 1, 3)$$, 'the job');
select results_eq(
  $$select j.status, j.token, j.worker, j.lease, j.pid,
           j.due_at - clock_timestamp() between '9 minutes' and '10 minutes'
      from publish.job j where j.id = 'x'$$,
  $$select 'running', s.token, 'w1', interval '10 minutes', null::int, true from started s$$,
  'is running, with a lease');
select is((select j.worker from publish.job j where j.id = 'late'),
          current_setting('application_name'), 'a worker without a name is its application_name');
select cmp_ok((select j.token from publish.job j where j.id = 'late'), '<',
              (select s.token from started s), 'a later start has a higher token');
select throws_ok($$select publish_job_start('x')$$, 'PT423', null, 'a running job is locked');
select throws_ok($$select publish_job_start('x', worker => 'w1')$$, 'PT423', null,
                 'for its own worker too');
select throws_ok($$select publish_job_start('nope')$$, 'PT404', null, 'an unknown one is not found');
select is(s.id, 'most urgent', 'by id a job starts before its time')
  from publish_job_start('most urgent') s;
select lives_ok($$select publish_job_done(s.id, s.token) from started s$$, 'a job is done');
select results_eq(
  $$select s.id, s.data, s.attempt from publish_job_start('x') s$$,
  $$values ('x', '{"n": 1}'::jsonb, 1)$$, 'and may be started again by id');
select lives_ok($$select publish_job_cancel('x')$$, 'a job is cancelled');
select throws_ok($$select publish_job_start('x')$$, 'PT410', null, 'an ignored one is gone');
select is_empty($$select publish_job_start(kinds => '{k}')$$, 'for its kind too');

-- the advisory lock
do $$
begin
  perform publish_job_add('locked', 'k');
  perform publish_job_add('unlocked', 'k');
  perform publish_job_add('other pid', 'k');
end
$$;
do $$
begin
  perform pg_advisory_unlock_all(); -- a session keeps its locks when a transaction is rolled back
end
$$;
create temp view held as
  select l.objid::bigint as object
    from pg_locks l
   where l.locktype = 'advisory' and l.classid = 1886741101 and l.objsubid = 2 and l.granted
     and l.pid = pg_backend_pid()
     and l.database = (select d.oid from pg_database d where d.datname = current_database());
select is_empty('select from held', 'without client_pid no lock is held');
create temp table direct as
  select * from publish_job_start('locked', client_pid => pg_backend_pid());
select results_eq('select h.object from held h', 'select d.token from direct d',
                  'with it the session holds the token''s lock');
select is((select j.pid from publish.job j where j.id = 'locked'), pg_backend_pid(),
          'and the job says which session');
select lives_ok($$select publish_job_start('other pid', client_pid => pg_backend_pid() + 1)$$,
                'a pid that is not the backend''s: a pooler is between');
select is((select j.pid from publish.job j where j.id = 'other pid'), null, 'no lock is taken');
select is((select count(*) from held), 1::bigint, 'none');
select throws_ok($$select publish_job_start('locked')$$, 'PT423', null, 'while the lock is held');
select lives_ok($$select publish_job_done(d.id, d.token) from direct d$$, 'done');
select is_empty('select from held', 'lets go of it');
select is(publish.job_lock(5), 5, 'the lock''s object is the token');
select is(publish.job_lock(2147483648 + 5), 5, 'modulo 2^31');
alter sequence publish.job_token_seq restart with 6442451045; -- 3 * 2^31 + 101; rolled back
do $$
begin
  perform publish_job_add('far', 'far');
end
$$;
select is(s.token, 3 * 2147483648 + 101, 'tokens go on beyond 2^31')
  from publish_job_start('far', client_pid => pg_backend_pid()) s;
select results_eq('select h.object from held h', $$values (101::bigint)$$, 'with a lock');
select results_eq($$select a.lock from publish.job_activity a where a.id = 'far'$$,
                  $$values ('held')$$, 'that is seen');
select is_empty($$select publish_job_start(kinds => '{far}')$$, 'and that holds');

-- many kinds, some twice, some of nobody
do $$
begin
  perform publish_job_add('m1', 'm');
end
$$;
select is(s.id, 'm1', 'kinds may be given twice, and be unknown')
  from publish_job_start(kinds => '{q,m,m,zz}') s;

-- refused
select throws_ok('select publish_job_start()', 'PT400', null, 'neither id nor kinds');
select throws_ok($$select publish_job_start('x', '{k}')$$, 'PT400', null, 'both');
select throws_ok($$select publish_job_start(kinds => '{}')$$, 'PT400', null, 'no kind');
select is_empty($$select publish_job_start(kinds => '{nobody,null}')$$,
                'a null kind is no job''s');
select throws_ok($$select publish_job_start('')$$, 'PT400', null, 'an empty id');
select throws_ok($$select publish_job_start(repeat('x', 10000))$$, 'PT400', null,
                 'an id of 10,000 characters');
select throws_ok($$select publish_job_start('x', lease => '0')$$, 'PT400', null, 'no lease');
select throws_ok($$select publish_job_start('x', lease => '-1 s')$$, 'PT400', null,
                 'a negative one');
select throws_ok($$select publish_job_start('x', lease => '2 years')$$, 'PT400', null,
                 'one of two years');
select throws_ok($$select publish_job_start('x', lease => null)$$, 'PT400', null, 'null');
select is((select count(*) from publish.job_error), 1::bigint,
          'no failure was written but the cancellation');

do $$
begin
  perform pg_advisory_unlock_all(); -- a session keeps its locks when a transaction is rolled back
end
$$;
select * from finish();
rollback;
