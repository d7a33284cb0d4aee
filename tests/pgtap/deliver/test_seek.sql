-- Seek, pause, resume, and a subscription that fell below the retention floor.
begin;
select plan(30);

do $$
begin
  perform publish_define('note');
  perform publish_enqueue('note', n::text, to_jsonb(n)) from generate_series(1, 5) n;
  perform publish_drain();
  perform publish_subscribe('s', 'stdout');
end
$$;
create function pg_temp.sent(batch int default 100) returns bigint[] language plpgsql as $$
declare
  v_token bigint;
  v_revs bigint[];
begin
  select min(c.token), array_agg(c.rev) into v_token, v_revs from publish_claim('s', 'w', batch) c;
  if v_token is not null then
    perform publish_settle(v_token);
  end if;
  return v_revs;
end
$$;
select is(pg_temp.sent(), '{1,2,3,4,5}', 'all is sent');
select is(pg_temp.sent(), null, 'once');

-- replay and skip
select lives_ok($$select publish_seek('s', 3)$$, 'back');
select is(pg_temp.sent(), '{4,5}', 'sends again what comes after');
do $$ begin perform publish_seek('s', 0); end $$;
select is(pg_temp.sent(), '{1,2,3,4,5}', '0 sends everything');
do $$ begin perform publish_seek('s', 0); end $$;
create temp table held as select c.token from publish_claim('s', 'w') c;
do $$ begin perform publish_seek('s', publish_head()); end $$;
select throws_ok($$select publish_settle(h.token) from held h$$, 'PT409', null,
                 'who was sending before the seek settles nothing');
select is(pg_temp.sent(), null, 'the head skips everything');
select throws_ok($$select publish_seek('s', 6)$$, 'PT410', null, 'above the head');
select throws_ok($$select publish_seek('s', -1)$$, 'PT400', null, 'below 0');
select throws_ok($$select publish_seek('nope', 0)$$, 'PT404', null, 'of none');

-- pause
do $$
begin
  perform publish_enqueue('note', '1', '"a"');
  perform publish_drain();
end
$$;
create temp table flying as select c.token from publish_claim('s', 'w') c;
select lives_ok($$select publish_pause('s')$$, 'paused');
select results_eq($$select s.sent from flying f, publish_settle(f.token) s$$, $$values (1)$$,
                  'a batch in flight is settled');
do $$
begin
  perform publish_enqueue('note', '2', '"a"');
  perform publish_drain();
end
$$;
select is(pg_temp.sent(), null, 'nothing is claimed');
select results_eq($$select s.state, s.behind from publish_subscriptions() s$$,
                  $$values ('paused', 1::bigint)$$, 'the view says so');
select is_empty('select * from publish.deliverable()', 'and no worker is woken');
select lives_ok($$select publish_resume('s')$$, 'resumed');
select is(pg_temp.sent(), '{7}', 'it goes on');

-- below the floor
do $$
begin
  perform publish_pause('s');
  perform publish_enqueue('note', '3', deleted => true);
  perform publish_drain();
  perform publish_enqueue('note', '4', '"b"');
  perform publish_drain();
  perform publish_set('tombstone_retention', '0'), publish_set('hold_limit', '0');
  perform publish_maintain();
  perform publish_resume('s');
end
$$;
select throws_ok($$select publish_claim('s', 'w')$$, 'PT410', null,
                 'a deletion it has not sent was pruned');
select is((select s.state from publish_subscriptions() s), 'reset needed', 'the view says so');
select matches((select s.reason from publish_subscriptions() s), 'publish_resync',
               'and what to do');
select throws_ok($$select publish_seek('s', 7)$$, 'PT410', null, 'it cannot go on from there');
select lives_ok($$select publish_seek('s', 0)$$, 'but from the beginning');
select is(pg_temp.sent(1), '{5}', 'which sends everything');
select is(pg_temp.sent(), '{6,7,9}', 'also below the floor');
select is((select s.state from publish_subscriptions() s), 'active', 'and all is well');

-- the floor of a kind that it does not read
do $$
begin
  perform publish_define('event', retention => interval '1 microsecond');
  perform publish_subscribe('t', 'stdout', kinds => '{note}', from_rev => publish_head());
  perform publish_enqueue('event', n::text, to_jsonb(n)) from generate_series(1, 3) n;
  perform publish_drain();
  perform publish_pause('s');
  perform publish.prune(100);
end
$$;
select results_eq($$select f.kind, max(f.floor) from publish.floor f group by f.kind order by 1$$,
                  $$values ('event', 12::bigint), ('note', 8)$$, 'of events all is pruned');
select results_eq($$select s.name, s.state from publish_subscriptions() s order by s.name$$,
                  $$values ('s', 'paused'), ('t', 'active')$$,
                  'who reads notes alone is active');
select is_empty($$select publish_claim('t', 'w')$$, 'and claims');
select lives_ok($$select publish_seek('t', 9)$$, 'and may go back to where no note was pruned since');
do $$ begin perform publish_resume('s'); end $$;
select throws_ok($$select publish_claim('s', 'w')$$, 'PT410', null, 'who reads all is below it');

select * from finish();
rollback;
