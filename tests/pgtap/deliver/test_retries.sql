-- What fails: parked with backoff, retried with its newest change, dead after max_attempts,
-- redriven or discarded; lanes that wait for their endpoint; 410.
begin;
select plan(80);

do $$
begin
  perform publish_define('note');
  perform publish_enqueue('note', n::text, to_jsonb(n)) from generate_series(1, 6) n;
  perform publish_drain();
  perform publish_subscribe('s', 'stdout', max_attempts => 3, backoff_min => '10 s',
                            backoff_max => '1 min');
end
$$;
create function pg_temp.id(note int) returns uuid language sql as $$
  select publish_pub_id('note', note::text)
$$;
-- Claims, then settles with these notes failed.
create function pg_temp.go(
  failed int[], class text, batch int default 100, retry_after int default null
) returns table (revs bigint[], sent int, parked int, dead int) language plpgsql as $$
declare
  v_token bigint;
begin
  create temp table if not exists given (pub_id uuid, rev bigint, token bigint);
  truncate given;
  insert into given select c.pub_id, c.rev, c.token from publish_claim('s', 'w', batch) c;
  select min(g.token), array_agg(g.rev) into v_token, revs from given g;
  select s.sent, s.parked, s.dead into sent, parked, dead
    from publish_settle(v_token, (
           select coalesce(jsonb_agg(jsonb_build_object(
                    'pub_id', g.pub_id, 'rev', g.rev, 'class', class, 'message', 'why',
                    'retry_after', retry_after)), '[]')
             from given g
            where g.pub_id in (select pg_temp.id(f.note) from unnest(failed) as f (note)))) s;
  return next;
end
$$;
create function pg_temp.all_due() returns void language sql as $$
  update publish.parked set next_attempt_at = clock_timestamp() where next_attempt_at is not null;
  update publish.batch
     set fresh_due_at = clock_timestamp(), retries_due_at = clock_timestamp();
$$;

-- backoff: equal jitter
select is(bool_and(w between interval '5 s' and interval '10 s'), true, 'once: up to backoff_min')
  from (select publish.backoff(1, '10 s', '1 min') as w from generate_series(1, 200)) r;
select is(bool_and(w between interval '20 s' and interval '40 s')
          and max(w) - min(w) > interval '10 s', true, 'doubled each time, half of it random')
  from (select publish.backoff(3, '10 s', '1 min') as w from generate_series(1, 200)) r;
select is(bool_and(w between interval '30 s' and interval '1 min'), true, 'up to backoff_max')
  from (select publish.backoff(1000, '10 s', '1 min') as w from generate_series(1, 200)) r;

select is(bool_and(w <= interval '365.25 days'), true, 'however often, however long')
  from (values (30), (60), (2000000000)) as a (attempts)
 cross join lateral publish.backoff(a.attempts, '1 year', '1 year') as w;

-- one of three is refused
select results_eq($$select * from pg_temp.go('{2}', 'rejected', 3)$$,
                  $$values ('{1,2,3}'::bigint[], 2, 1, 0)$$, 'two are sent, one is parked');
select results_eq(
  $$select k.pub_id, k.rev, k.class, k.message, k.attempts,
           k.next_attempt_at - k.last_failed_at between '0' and '10 s',
           k.first_failed_at = k.last_failed_at from publish.parked k$$,
  $$values (pg_temp.id(2), 2::bigint, 'rejected', 'why', 1, true, true)$$,
  'with what a person wants to know');
select is((select l.cursor from publish.lane_state l), 3::bigint, 'and leaves the cursor free');
update publish.parked set next_attempt_at = clock_timestamp() + interval '1 min';
select results_eq($$select * from pg_temp.go('{}', '', 1)$$,
                  $$values ('{4}'::bigint[], 1, 0, 0)$$, 'the others go on');
select results_eq($$select d.ready, d.wait_s from publish.deliverable() d$$,
                  $$values (1, 0::float8)$$, 'there is more');

-- a newer change replaces what the retry sends
do $$
begin
  perform publish_enqueue('note', '2', '"new"');
  perform publish_drain();
end
$$;
select results_eq($$select * from pg_temp.go('{}', '')$$,
                  $$values ('{5,6}'::bigint[], 2, 0, 0)$$, 'it waits for the key''s retry');
select is((select l.cursor from publish.lane_state l), 7::bigint, 'while the cursor passes it');
select results_eq($$select d.ready, d.wait_s between 1 and 60 from publish.deliverable() d$$,
                  $$values (0, true)$$, 'deliverable says how long');
do $$ begin perform pg_temp.all_due(); end $$;
select results_eq($$select c.rev, c.payload, c.attempts from publish_claim('s', 'w') c$$,
                  $$values (7::bigint, '"new"'::jsonb, 1)$$,
                  'the retry sends the newest, and only once');
select results_eq($$select s.sent, s.parked from publish_settle(
                     (select l.token from publish.lane_state l)) s$$,
                  $$values (1, 0)$$, 'sent');
select is_empty($$table publish.parked$$, 'and no longer parked');
select is_empty($$select * from publish.deliverable()$$, 'nothing is left');

-- a change that comes while the retry is in flight
do $$
begin
  perform publish_enqueue('note', '2', '"newer"');
  perform publish_drain();
end
$$;
select results_eq($$select * from pg_temp.go('{2}', 'rejected')$$,
                  $$values ('{8}'::bigint[], 0, 1, 0)$$, 'parked again');
do $$ begin perform pg_temp.all_due(); end $$;
create temp table held as select c.* from publish_claim('s', 'w') c;
do $$
begin
  perform publish_enqueue('note', '2', '"newest"');
  perform publish_drain();
end
$$;
select results_eq($$select s.sent from publish_settle((select h.token from held h)) s$$,
                  $$values (1)$$, 'the retry was sent');
select results_eq($$select * from pg_temp.go('{}', '')$$,
                  $$values ('{9}'::bigint[], 1, 0, 0)$$, 'what came meanwhile follows');

-- dead letters
do $$
begin
  perform publish_enqueue('note', n::text, '"x"') from generate_series(1, 2) n;
  perform publish_drain();
end
$$;
select results_eq($$select * from pg_temp.go('{1}', 'rejected')$$,
                  $$values ('{10,11}'::bigint[], 1, 1, 0)$$, 'a first failure');
do $$ begin perform pg_temp.all_due(); end $$;
select results_eq($$select * from pg_temp.go('{1}', 'encoding')$$,
                  $$values ('{10}'::bigint[], 0, 1, 0)$$, 'a second');
do $$ begin perform pg_temp.all_due(); end $$;
select results_eq($$select * from pg_temp.go('{1}', 'rejected')$$,
                  $$values ('{10}'::bigint[], 0, 1, 1)$$, 'the third is the last');
select is_empty($$select * from publish.deliverable()$$, 'it is given up');
select results_eq(
  $$select d.subscription_name, d.pub_id, d.kind, d.current_rev, d.class, d.message, d.attempts,
           d.last_failed_at > d.first_failed_at from publish_dead_letters() d$$,
  $$values ('s', pg_temp.id(1), 'note', 10::bigint, 'rejected', 'why', 3, true)$$,
  'a dead letter says why');
select results_eq($$select s.retries, s.dead from publish_subscriptions() s$$,
                  $$values (0::bigint, 1::bigint)$$, 'the view counts it');
select results_eq($$select count(*) from publish_dead_letters('s') d$$, $$values (1::bigint)$$,
                  'one subscription''s');
select throws_ok($$select publish_dead_letters('nope')$$, 'PT404', null, 'of those there are');
select is(r.redriven, 0, 'redrive of a class it has not')
  from publish_redrive('s', class => 'endpoint') r;
select is(r.redriven, 0, 'and of a key that is no dead letter')
  from publish_redrive('s', pg_temp.id(2)) r;
select results_eq($$select r.redriven, r.next from publish_redrive('s', pg_temp.id(1)) r$$,
                  $$values (1, null::bigint)$$, 'redrive of the key');
select throws_ok($$select publish_redrive('s', batch => 0)$$, 'PT400', null, 'in batches');
select throws_ok($$select publish_discard('s', batch => 0)$$, 'PT400', null, 'of at least one');
select results_eq($$select c.rev, c.attempts from publish_claim('s', 'w') c$$,
                  $$values (10::bigint, 0)$$, 'sends it again, with all attempts');
select results_eq(
  $$select s.sent, s.parked, s.dead from publish_settle(
      (select l.token from publish.lane_state l),
      jsonb_build_array(jsonb_build_object('pub_id', pg_temp.id(1), 'rev', 10,
                                           'class', 'rejected'))) s$$,
  $$values (0, 1, 0)$$, 'which may fail again');
update publish.parked set attempts = 2;
do $$ begin perform pg_temp.all_due(); end $$;
select results_eq($$select r.dead from pg_temp.go('{1}', 'rejected') r$$, $$values (1)$$,
                  'and be dead again');

-- a newer change of a dead letter is tried by itself
do $$
begin
  perform publish_enqueue('note', '1', '"mended"');
  perform publish_drain();
end
$$;
select results_eq($$select * from pg_temp.go('{1}', 'rejected')$$,
                  $$values ('{12}'::bigint[], 0, 1, 1)$$, 'once');
do $$
begin
  perform publish_enqueue('note', '1', '"mended indeed"');
  perform publish_drain();
end
$$;
select results_eq($$select * from pg_temp.go('{}', '')$$,
                  $$values ('{13}'::bigint[], 1, 0, 0)$$, 'each time');
select is_empty($$table publish.parked$$, 'and delivered it is no dead letter any more');

-- discard
do $$
begin
  perform publish_enqueue('note', n::text, '"y"') from generate_series(1, 3) n;
  perform publish_drain();
  perform pg_temp.go('{1,2,3}', 'rejected');
end
$$;
update publish.parked set next_attempt_at = null where pub_id <> pg_temp.id(3);
select is(publish_discard('s', pg_temp.id(3)), 0, 'a retry is not discarded');
select is(publish_discard('s', pg_temp.id(1)), 1, 'a dead letter is');
select is(publish_discard('s', batch => 1), 1, 'or all, at most batch');
select is((select count(*) from publish.parked), 1::bigint, 'the retry stays');
do $$ begin perform pg_temp.all_due(); end $$;
select results_eq($$select r.sent from pg_temp.go('{}', '') r$$, $$values (1)$$, 'and is sent');

-- an endpoint that takes nothing: the lane waits, then tries with one
do $$
begin
  perform publish_enqueue('note', n::text, '"z"') from generate_series(1, 6) n;
  perform publish_drain();
end
$$;
select results_eq($$select r.sent, r.parked from pg_temp.go('{1,2,3,4}', 'endpoint', 4) r$$,
                  $$values (0, 4)$$, 'four fail');
select results_eq($$select k.attempts, count(*) from publish.parked k group by 1$$,
                  $$values (0, 4::bigint)$$, 'an outage costs no attempt');
select results_eq($$select l.fresh_failures, l.retries_failures from publish.lane_state l$$,
                  $$values (1, 1)$$, 'both parts of the lane wait');
select is(l.fresh_due_at > clock_timestamp() - interval '1 s', true, 'for a time')
  from publish.lane_state l;
select results_eq(
  $$select s.state, s.circuit <> 'closed', s.last_error_class, s.last_error
      from publish_subscriptions() s$$,
  $$values ('endpoint failing', true, 'endpoint', 'why')$$, 'as a person can see');
update publish.batch b
   set fresh_due_at = clock_timestamp() + interval '1 min',
       retries_due_at = clock_timestamp() + interval '1 min'
 where b.token = (select l.token from publish.lane_state l);
select is_empty($$select publish_claim('s', 'w')$$, 'until then nobody claims');
do $$ begin perform pg_temp.all_due(); end $$;
select results_eq(
  $$select cardinality(r.revs), r.sent, r.parked from pg_temp.go('{5}', 'endpoint') r$$,
  $$values (1, 0, 1)$$, 'then it is tried with one that was not tried yet');
select is(l.fresh_failures, 2, 'which fails') from publish.lane_state l;
do $$ begin perform pg_temp.all_due(); end $$;
select results_eq($$select cardinality(r.revs), r.sent from pg_temp.go('{}', '') r$$,
                  $$values (1, 1)$$, 'then with another, which is taken');
select results_eq($$select l.fresh_failures, l.retries_failures from publish.lane_state l$$,
                  $$values (0, 0)$$, 'all is well');
select results_eq($$select cardinality(r.revs), r.sent from pg_temp.go('{2}', 'rejected') r$$,
                  $$values (5, 4)$$, 'and the batches are full again');
do $$
begin
  perform pg_temp.all_due();
  perform pg_temp.go('{}', '');
end
$$;

-- an endpoint that fails only one of them: it works
do $$
begin
  perform publish_enqueue('note', n::text, '"q"') from generate_series(3, 6) n;
  perform publish_drain();
end
$$;
select results_eq($$select r.sent, r.parked from pg_temp.go('{3}', 'endpoint') r$$,
                  $$values (3, 1)$$, 'three are taken, one is not');
select results_eq(
  $$select k.attempts, l.fresh_failures, l.fresh_due_at
      from publish.parked k, publish.lane_state l$$,
  $$values (1, 0, null::timestamptz)$$, 'which counts, and the lane does not wait');
do $$ begin perform publish_resume('s'); end $$;
do $$
begin
  perform pg_temp.go('{}', '');
  perform publish_enqueue('note', n::text, '"r"') from generate_series(4, 6) n;
  perform publish_drain();
end
$$;
-- Retry-After
select results_eq(
  $$select r.sent, r.parked from pg_temp.go('{4}', 'endpoint', 2, retry_after => 300) r$$,
  $$values (1, 1)$$, 'one is told to come later');
select is(l.fresh_due_at >= clock_timestamp() + interval '299 s'
          and l.retries_due_at >= clock_timestamp() + interval '299 s', true, 'so the lane does')
  from publish.lane_state l;
select results_eq(
  $$select k.next_attempt_at >= clock_timestamp() + interval '299 s', k.attempts, k.class
      from publish.parked k where k.pub_id = pg_temp.id(4)$$,
  $$values (true, 0, 'busy')$$, 'and the change, without an attempt');
select lives_ok($$select publish_resume('s')$$, 'a person can have it go on at once');
select is(coalesce(l.fresh_due_at, l.retries_due_at), null, 'the lane is free')
  from publish.lane_state l;

-- not tried
do $$ begin perform pg_temp.all_due(); end $$;
do $$
begin
  perform pg_temp.go('{}', '');
  perform pg_temp.go('{}', '');
  perform publish_enqueue('note', '1', '"u"');
  perform publish_drain();
end
$$;
select results_eq($$select r.sent, r.parked, r.dead from pg_temp.go('{1}', 'unsent') r$$,
                  $$values (0, 1, 0)$$, 'a change that was not tried');
select results_eq($$select k.attempts, k.last_failed_at is null from publish.parked k$$,
                  $$values (0, true)$$, 'has no attempt counted');
select results_eq($$select r.revs[1] = publish_head(), r.sent from pg_temp.go('{}', '') r$$,
                  $$values (true, 1)$$, 'and comes again at once');

-- a refusal says nothing of the endpoint, nor do several
do $$
begin
  perform publish_enqueue('note', n::text, '"v"') from generate_series(1, 3) n;
  perform publish_drain();
end
$$;
select results_eq($$select r.sent, r.parked from pg_temp.go('{1}', 'rejected', 1) r$$,
                  $$values (0, 1)$$, 'one is refused');
select is(l.fresh_failures, 0, 'the lane does not wait') from publish.lane_state l;
select results_eq($$select r.sent, r.parked from pg_temp.go('{2,3}', 'rejected') r$$,
                  $$values (0, 2)$$, 'two of two are refused');
select results_eq($$select l.fresh_failures, l.fresh_due_at from publish.lane_state l$$,
                  $$values (0, null::timestamptz)$$, 'it does not wait then either');
select results_eq(
  $$select s.sent, s.parked from publish_settle(
      (select l.token from publish.lane_state l),
      jsonb_build_array(jsonb_build_object('pub_id', pg_temp.id(2), 'rev', 1,
                                           'class', 'rejected'))) s$$,
  $$values (0, 2)$$, 'settled again it says the same');
select is(max(k.attempts), 1, 'and counts nothing twice') from publish.parked k;
do $$
begin
  perform publish_resume('s');
  perform pg_temp.all_due();
  perform pg_temp.go('{}', '');
end
$$;

-- 410
do $$
begin
  perform publish_enqueue('note', '1', '"g"');
  perform publish_drain();
  perform pg_temp.go('{1}', 'gone');
end
$$;
select results_eq($$select s.state, s.reason from publish_subscriptions() s$$,
                  $$values ('disabled', 'why')$$, 'gone disables');
select is_empty($$select publish_claim('s', 'w')$$, 'nobody claims');
select is_empty($$select publish.deliverable()$$, 'nobody is asked to');
do $$
begin
  perform publish_resume('s');
end
$$;
select results_eq($$select r.sent from pg_temp.go('{}', '') r$$, $$values (1)$$,
                  'after publish_resume it is sent');

-- what was not claimed cannot have failed
do $$
begin
  perform publish_enqueue('note', n::text, '"s"') from generate_series(1, 3) n;
  perform publish_drain();
end
$$;
create temp table held_now as select c.* from publish_claim('s', 'w', 2) c;
select throws_ok(
  format('select publish_settle(%s, jsonb_build_array(jsonb_build_object(
            ''pub_id'', %L::uuid, ''rev'', %s, ''class'', ''rejected'')))',
         (select min(h.token) from held_now h), s.pub_id, s.rev),
  'PT400', null, s.what)
  from (select '00000000-0000-0000-0000-000000000000'::uuid as pub_id,
               (select min(h.rev) from held_now h) as rev, 'an unknown key' as what
         union all
        select (select min(h.pub_id::text)::uuid from held_now h), publish_head(),
               'a rev above the batch'
         union all
        select pg_temp.id(3), (select max(h.rev) from held_now h), 'another key') as s;
select results_eq(
  $$select s.sent, s.parked from publish_settle(
      (select min(h.token) from held_now h),
      (select jsonb_build_array(jsonb_build_object('pub_id', h.pub_id, 'rev', h.rev,
                                                   'class', 'rejected'))
         from held_now h where h.pub_id = pg_temp.id(2))) s$$,
  $$values (1, 1)$$, 'it is settled without them');
do $$
begin
  perform pg_temp.all_due();
  perform pg_temp.go('{}', '');
end
$$;

-- pruned
do $$
begin
  perform publish_enqueue('note', '1', deleted => true);
  perform publish_drain();
  perform pg_temp.go('{1}', 'rejected');
  perform publish_set('tombstone_retention', '0'), publish_set('hold_limit', '0');
  perform publish_maintain();
end
$$;
do $$ begin perform pg_temp.all_due(); end $$;
select is_empty($$select publish_claim('s', 'w')$$, 'a retry whose change was pruned');
select results_eq($$select d.class, d.current_rev from publish_dead_letters() d$$,
                  $$values ('pruned', null::bigint)$$, 'is a dead letter that says so');

select * from finish();
rollback;
