-- Runs whose lease ran out or whose lock is gone, cancelled jobs, and retries.
begin;
select plan(77);

create function pg_temp.start(id text, client_pid int default null) returns bigint
language sql as $$
  select s.token from publish_job_start(start.id, worker => 'w', client_pid => start.client_pid) s
$$;
create function pg_temp.add(id text, max_attempts int default 3) returns boolean language sql as $$
  select publish_job_add(add.id, 'k', '{"a": 1}', max_attempts => add.max_attempts)
$$;
create function pg_temp.expire(id text) returns void language sql as $$
  update publish.job j set due_at = clock_timestamp() where j.id = expire.id
$$;
create temp view state as
  select j.id, j.status, j.attempts,
         (select e.error from publish.job_error e where e.id = j.id
           order by e.error_id desc limit 1) as error
    from publish.job j;

-- the lease
select ok(pg_temp.add('lease'), 'a job');
select isnt(pg_temp.start('lease'), null, 'runs');
select is(publish.return_lost_jobs('{k}'), 0, 'a run whose lease runs is not lost');
select is(publish.return_lost_jobs(null, 'lease'), 0, 'by id neither');
select lives_ok($$select pg_temp.expire('lease')$$, 'it runs out');
select is(publish.return_lost_jobs('{other}'), 0, 'another kind''s workers leave it alone');
select is(publish.return_lost_jobs('{k}'), 1, 'its own find it');
select is(publish.return_lost_jobs('{k}'), 0, 'once');
select results_eq('select * from state', $$values ('lease', 'failed', 1, 'lost')$$,
                  'a lost run is a failed attempt');
select results_eq($$select e.message, e.worker, e.attempt from publish_job_errors('lease') e$$,
                  $$values ('its lease ran out', 'w', 1)$$, 'that says whose');
select results_eq($$select s.id, s.attempt from publish_job_start(kinds => '{k}') s$$,
                  $$values ('lease', 2)$$, 'it is started again without a wait');
select lives_ok($$select pg_temp.expire('lease')$$, 'lost again');
select results_eq($$select s.id, s.attempt from publish_job_start('lease') s$$,
                  $$values ('lease', 3)$$, 'by id a lost job is taken over');
select lives_ok($$select pg_temp.expire('lease')$$, 'and lost for the third time');
select is_empty($$select publish_job_start(kinds => '{k}')$$, 'it is started no more');
select results_eq('select * from state', $$values ('lease', 'ignored', 3, 'lost')$$,
                  'a job whose every run is lost is ignored at last');
select is((select count(*) from publish_job_errors('lease')), 3::bigint, 'with each of them told');

-- a run that saved progress
select ok(pg_temp.add('far', 1), 'a job with one attempt');
create temp table far as select pg_temp.start('far') as token;
select lives_ok($$select publish_job_beat('far', f.token, '{"at": 1}', progress => true)
                     from far f$$, 'saves');
select lives_ok($$select pg_temp.expire('far')$$, 'and is lost');
select results_eq($$select s.id, s.attempt, s.data from publish_job_start(kinds => '{k}') s$$,
                  $$values ('far', 1, '{"a": 1, "at": 1}'::jsonb)$$,
                  'it goes on from there, and the lost run is not counted');
select lives_ok($$select pg_temp.expire('far')$$, 'lost again, this time without progress');
select is_empty($$select publish_job_start('far')$$, 'by id: that was its last attempt');
select results_eq($$select s.status from state s where s.id = 'far'$$, $$values ('ignored')$$,
                  'which is written down');
select throws_ok($$select publish_job_start('far')$$, 'PT410', null, 'and said from then on');
select is_empty($$select publish_job_start(kinds => '{k}')$$, 'a worker finds nothing');
select lives_ok($$select publish_job_retry('far')$$, 'put back');
select isnt(pg_temp.start('far'), null, 'it runs');
select lives_ok($$select pg_temp.expire('far')$$, 'and is lost on its last attempt once more');
select lives_ok($$select publish_job_retry('far')$$, 'it can be put back at once');
select results_eq($$select s.status, s.attempts, s.error from state s where s.id = 'far'$$,
                  $$values ('pending', 0, 'lost')$$, 'with the loss written down');
select lives_ok($$select publish_job_cancel('far')$$, 'enough of it');

-- runs that are lost again and again
create function pg_temp.lose(id text, data jsonb, most int) returns text language plpgsql as $$
begin
  perform publish_job_beat(id => lose.id, token => pg_temp.start(lose.id), data => lose.data,
                           progress => true);
  perform pg_temp.expire(lose.id);
  perform publish.return_lost_jobs(null, lose.id);
  return (select format('%s %s', j.attempts,
                        case when j.due_at <= clock_timestamp() then 'at once'
                             when extract(epoch from j.due_at - j.started_at)
                                  between most / 2 and most + 1 then 'after a wait'
                             else (j.due_at - j.started_at)::text end)
            from publish.job j where j.id = lose.id);
end
$$;
select ok(pg_temp.add('again', 9), 'a job whose workers die after it saved');
select is(pg_temp.lose('again', '{"at": 1}', 0), '0 at once',
          'the first time it got further: due at once');
select is(pg_temp.lose('again', '{"at": 1}', 10), '1 after a wait',
          'the second time it did not, which counts, and it waits');
select is_empty($$select publish_job_start(kinds => '{k}')$$, 'for workers too');
select is(pg_temp.lose('again', '{"at": 2}', 20), '0 after a wait',
          'further: not counted, but it waits longer');
select is(pg_temp.lose('again', '{"at": 3}', 40), '0 after a wait', 'and longer');
select isnt(pg_temp.start('again'), null, 'it runs');
select lives_ok($$update publish.job j set started_at = started_at - interval '5 minutes'
                   where j.id = 'again'$$, 'for minutes');
select lives_ok($$select pg_temp.expire('again')$$, 'and is lost');
select results_eq($$select s.id, s.attempt from publish_job_start(kinds => '{k}') s$$,
                  $$values ('again', 2)$$, 'it goes on at once: it ran for longer than the wait');
select lives_ok($$select publish_job_done('again', j.token) from publish.job j
                   where j.id = 'again'$$, 'success');
select is(pg_temp.lose('again', '{"at": 4}', 0), '0 at once', 'forgets the losses');
select lives_ok($$select publish_job_cancel('again')$$, 'enough of it');

-- the advisory lock
select ok(pg_temp.add('lock'), 'a job');
create temp table lock as select pg_temp.start('lock', pg_backend_pid()) as token;
select is(publish.return_lost_jobs('{k}'), 0, 'with its lock held it is not lost');
select ok((select pg_advisory_unlock(1886741101, publish.job_lock(l.token)) from lock l), 'the lock is gone');
select results_eq($$select a.lock from publish.job_activity a where a.id = 'lock'$$,
                  $$values ('lost')$$, 'as anyone can see');
select results_eq($$select s.id, s.attempt from publish_job_start(kinds => '{k}') s$$,
                  $$values ('lock', 2)$$, 'it is taken over while its lease still runs');
select results_eq($$select e.message from publish_job_errors('lock') e$$,
                  $$values ('its session ended')$$, 'and that is told');
select throws_ok($$select publish_job_done('lock', l.token) from lock l$$, 'PT409', null,
                 'the run presumed dead cannot settle');

-- cancel
select is(publish_job_cancel('lock'), true, 'a running job is cancelled');
select results_eq($$select * from state s where s.id = 'lock'$$,
                  $$values ('lock', 'ignored', 2, 'cancelled')$$, 'ignored');
select throws_ok($$select publish_job_beat('lock', j.token) from publish.job j
                    where j.id = 'lock'$$, 'PT409', null, 'its worker is told at the next beat');
select is(publish_job_cancel('lock'), false, 'cancelled twice is once');
select throws_ok($$select publish_job_retry('lock')$$, 'PT423', null,
                 'without a lock its body may be at work as long as its lease runs');
select lives_ok($$select pg_temp.expire('lock')$$, 'which ends');
select throws_ok($$select publish_job_cancel('nope')$$, 'PT404', null, 'an unknown job');
select ok(pg_temp.add('waiting'), 'a job that waits');
select is(publish_job_cancel('waiting'), true, 'is cancelled too');

select ok(pg_temp.add('held'), 'a job');
create temp table held as select pg_temp.start('held', pg_backend_pid()) as token;
select is(publish_job_cancel('held'), true, 'that holds its lock is cancelled');
select throws_ok($$select publish_job_retry('held')$$, 'PT423', null, 'its body is at work');
select ok((select pg_advisory_unlock(1886741101, publish.job_lock(h.token)) from held h),
          'until the lock is gone');
select lives_ok($$select publish_job_retry('held')$$, 'then it is put back');
select is(publish_job_cancel('held'), true, 'and cancelled while it waits');
select lives_ok($$select publish_job_retry('held')$$, 'it is put back at once');
select lives_ok($$select publish_job_cancel('held')$$, 'enough of it');

-- retry
select lives_ok($$select publish_job_retry('lock')$$, 'an ignored job is put back');
select results_eq($$select s.status, s.attempts from state s where s.id = 'lock'$$,
                  $$values ('pending', 0)$$, 'with all its attempts');
select results_eq($$select s.attempt from publish_job_start('lock') s$$, $$values (1)$$,
                  'and starts');
select throws_ok($$select publish_job_retry('lock')$$, 'PT423', null, 'a running one is not');
select throws_ok($$select publish_job_retry('nope')$$, 'PT404', null, 'nor an unknown one');
select lives_ok($$select publish_job_done('lock', j.token) from publish.job j
                   where j.id = 'lock'$$, 'it succeeds');
select lives_ok($$select publish_job_retry('lock')$$, 'and is to be done again');
select results_eq($$select s.status, s.attempts from state s where s.id = 'lock'$$,
                  $$values ('pending', 0)$$, 'due at once');

do $$
begin
  perform pg_advisory_unlock_all(); -- a session keeps its locks when a transaction is rolled back
end
$$;
select * from finish();
rollback;
