-- publish_job_next: the end of one run and the start of another, together or not at all.
begin;
select plan(9);

do $$
begin
  perform publish_job_add(k || n, k, run_at => '2000-01-01'::timestamptz + n * interval '1 s')
     from unnest('{a,b}'::text[]) k cross join generate_series(1, 2) n;
end
$$;
create temp table run as select * from publish_job_start('a1', worker => 'w');
select throws_ok(
  $$select publish_job_next('a1', r.token - 1, kinds => '{b}') from run r$$, 'PT409', null,
  'a run that lost its job gets no other');
select throws_ok(
  $$select publish_job_next('a1', r.token, kinds => '{b}', lease => '0') from run r$$, 'PT400', null,
  'and one that asks wrongly is not done');
select results_eq('select j.id, j.status from publish.job j where j.id in (''a1'', ''b1'') order by 1',
                  $$values ('a1', 'running'), ('b1', 'pending')$$, 'so nothing has changed');

create temp table next as
  select n.* from run r
   cross join lateral publish_job_next('a1', r.token, '{"rows": 7}', '{b}', 'w', '10 minutes') n;
select results_eq('select n.id, n.kind, n.data, n.attempt, n.max_attempts from next n',
                  $$values ('b1', 'b', '{}'::jsonb, 1, 10)$$, 'the next job is returned');
select results_eq(
  $$select j.status, j.data, j.token is not null from publish.job j where j.id = 'a1'$$,
  $$values ('succeeded', '{"rows": 7}'::jsonb, true)$$, 'the one before has succeeded');
select results_eq(
  $$select j.status, j.token, j.worker, j.lease from publish.job j where j.id = 'b1'$$,
  $$select 'running', n.token, 'w', interval '10 minutes' from next n$$, 'the next one runs');
select is_empty($$select publish_job_next('b1', n.token, kinds => '{none}') from next n$$,
                'no row where nothing is due');
select is((select j.status from publish.job j where j.id = 'b1'), 'succeeded',
          'and the run is done all the same');
select is((select count(*) from publish.job j where j.status = 'running'), 0::bigint,
          'nothing runs that nobody was told of');

select * from finish();
rollback;
