-- publish_jobs, job_activity and publish_job_prune.
begin;
select plan(34);

select volatility_is('public', 'publish_jobs', 'stable', 'stable');
select is_empty('select publish_jobs()', 'no job');
do $$
declare
  v_token bigint;
begin
  for n in 1..6 loop
    perform publish_job_add('j' || n, case n % 2 when 0 then 'even' else 'odd' end,
                            jsonb_build_object('n', n), max_attempts => 1);
  end loop;
  v_token := (select s.token from publish_job_start('j1', worker => 'w') s);
  perform publish_job_done('j1', v_token);
  v_token := (select s.token from publish_job_start('j2', worker => 'w') s);
  perform publish_job_fail('j2', v_token, 'E', 'first');
  perform publish_job_retry('j2');
  v_token := (select s.token from publish_job_start('j2', worker => 'w') s);
  perform publish_job_fail('j2', v_token, 'E', 'second');
  perform publish_job_start('j3', worker => 'w', client_pid => pg_backend_pid());
end
$$;
select results_eq('select j.id from publish_jobs() j',
                  $$values ('j6'), ('j5'), ('j4'), ('j3'), ('j2'), ('j1')$$, 'the newest first');
select results_eq('select j.id from publish_jobs(oldest_first => true, batch => 2) j',
                  $$values ('j1'), ('j2')$$, 'or the oldest, at most batch');
select results_eq($$select j.id from publish_jobs(kind => 'odd') j$$,
                  $$values ('j5'), ('j3'), ('j1')$$, 'of a kind');
select results_eq(
  $$select s, (select string_agg(j.id, ',') from publish_jobs(s) j)
      from unnest('{pending,running,failed,succeeded,ignored}'::text[]) s$$,
  $$values ('pending', 'j6,j5,j4'), ('running', 'j3'), ('failed', null), ('succeeded', 'j1'),
           ('ignored', 'j2')$$, 'of a status');
select results_eq($$select j.id from publish_jobs('pending', 'odd', oldest_first => true) j$$,
                  $$values ('j5')$$, 'of both');
select results_eq(
  $$select j.status, j.kind, j.id, j.attempts, j.max_attempts, j.worker, j.error, j.message, j.data,
           j.started_at is not null, j.finished_at is not null
      from publish_jobs(id => 'j2') j$$,
  $$values ('ignored', 'even', 'j2', 1, 1, 'w', 'E', 'second', '{"n": 2}'::jsonb, true, true)$$,
  'one by id, with its last error');
select is_empty($$select publish_jobs('pending', id => 'j2')$$, 'id and another status: none');
select is_empty($$select publish_jobs(id => 'nope')$$, 'an unknown id: none');
select throws_ok($$select publish_jobs('cancelled')$$, 'PT400', null, 'no such status');
select throws_ok($$select publish_jobs(batch => 0)$$, 'PT400', null, 'batch 0');
select throws_ok($$select publish_jobs(batch => null)$$, 'PT400', null, 'batch null');
select throws_ok($$select publish_jobs(oldest_first => null)$$, 'PT400', null, 'no order');

-- activity
select results_eq(
  $$select a.id, a.kind, a.worker, a.attempt, a.pid, a.application, a.state,
           a.query ~ 'job_activity', a.lease_left between '59 s' and '60 s', a.lock,
           a.data
      from publish.job_activity a$$,
  $$values ('j3', 'odd', 'w', 1, pg_backend_pid(), current_setting('application_name'), 'active',
            true, true, 'held', '{"n": 3}'::jsonb)$$,
  'who runs what, on which session and query');
do $$
begin
  perform publish_job_start('j4', worker => 'pooled');
end
$$;
select results_eq(
  $$select a.id, a.pid, a.state, a.lock from publish.job_activity a where a.worker = 'pooled'$$,
  $$values ('j4', null::int, null::text, 'none')$$, 'a run without a lock has no session');

-- prune
select is(pg_get_function_arguments('publish_job_prune'::regproc),
          'batch integer DEFAULT 10000', 'arguments and defaults');
select is(publish_job_prune(), 0, 'young jobs stay');
update publish.job j set created_at = now() - interval '40 days',
                         finished_at = now() - interval '31 days'
 where j.finished_at is not null;
update publish.job j set created_at = now() - interval '40 days' where j.id in ('j3', 'j5');
update publish.job j set finished_at = now() - interval '29 days' where j.id = 'j2';
insert into publish.job_error (id, attempt, error, message) values ('j1', 1, 'E', 'of long ago');
insert into publish.job (id, kind, status, created_at, finished_at)
select 'old' || n, 'k', 'succeeded', now() - interval '50 days', now() - interval '31 days'
  from generate_series(1, 5) n;
insert into publish.job (id, kind, status, created_at, finished_at)
values ('again', 'k', 'succeeded', now() - interval '90 days', now() - interval '1 day'),
       ('gave up', 'k', 'ignored', now() - interval '50 days', now() - interval '31 days');
insert into publish.job_error (id, attempt, error, message, at)
select e.id, 1, 'E', e.message, now() - e.age
  from (values ('again', 'old', interval '31 days'), ('again', 'older', '32 days'),
               ('again', 'young', '29 days'), ('j3', 'old', '31 days')) as e (id, message, age);
do $$ begin perform publish_set('job_retention', '35 days'); end $$;
select is(publish_job_prune(), 0, 'what finished less long ago than job_retention stays');
do $$ begin perform publish_set('job_retention'); end $$;
select is(publish_job_prune(batch => 2), 2, 'older ones go, at most batch');
select is(publish_job_prune(), 5, 'and the rest');
select results_eq('select j.id from publish_jobs() j order by j.id',
                  $$values ('again'), ('j2'), ('j3'), ('j4'), ('j5'), ('j6')$$,
                  'what is not finished, or finished lately, is there');
select results_eq('select e.message from publish_job_errors(''again'') e', $$values ('young')$$,
                  'of a job that recurs old errors are gone');
select is((select count(*) from publish_job_errors('j3')), 1::bigint,
          'of one that has not come to its end none is');
select is((select count(*) from publish.job_error e where e.id = 'j1'), 0::bigint,
          'a pruned job''s errors are gone');
select is((select count(*) from publish_job_errors('j2')), 2::bigint, 'a younger one''s stay');
select results_eq('select m.rows_pruned from publish_maintain() m', $$values (0)$$, 'publish_maintain');
select is((select count(*) from publish_jobs()), 6::bigint, 'keeps what is young');
update publish.job j set finished_at = now() - interval '31 days' where j.id = 'again';
select results_eq('select m.rows_pruned from publish_maintain() m', $$values (0)$$,
                  'when it has got old');
select is_empty($$select from publish.job j where j.id = 'again'$$, 'publish_maintain removes it');
do $$ begin perform publish_set('job_retention', '0'); end $$;
select is(publish_job_prune(), 1, 'retention 0: all that is finished');
select throws_ok($$select publish_job_prune(batch => 0)$$, 'PT400', null, 'batch 0');
select is((select count(*) from publish_jobs()), 4::bigint, 'nothing else was removed');
select is((select count(*) from publish.job_activity), 2::bigint, 'and what runs goes on');

do $$
begin
  perform pg_advisory_unlock_all(); -- a session keeps its locks when a transaction is rolled back
end
$$;
select * from finish();
rollback;
