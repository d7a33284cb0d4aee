-- Claim, settle, extend: leases, tokens, cursors.
begin;
select plan(38);

select is(pg_get_function_arguments('publish_claim'::regproc),
          'subscription text, worker text, batch integer DEFAULT 100', 'arguments and defaults');
do $$
begin
  perform publish_define('note');
  perform publish_define('other');
  perform publish_enqueue('note', n::text, to_jsonb(n),
                          headers => case n when 2 then '{"traceparent": "00-1"}'::jsonb end)
     from generate_series(1, 5) n;
  perform publish_drain();
  perform publish_subscribe('s', 'stdout');
end
$$;
create temp table batch as select c.* from publish_claim('s', 'one', 3) c;

-- what a claim returns
select results_eq(
  $$select b.rev, b.kind, b.payload, b.deleted, b.attempts from batch b$$,
  $$values (1::bigint, 'note', '1'::jsonb, false, 0), (2, 'note', '2', false, 0),
           (3, 'note', '3', false, 0)$$, 'the next changes, at most batch');
select is((select b.headers from batch b where b.rev = 2), '{"traceparent": "00-1"}'::jsonb,
          'with their headers');
select is(b.id, format('%s/1', (select s.epoch from publish_status() s)), 'id is epoch and rev')
  from batch b where b.rev = 1;
select is(b.source, '/pgpublish/' || current_database(), 'source is the database') from batch b
 where b.rev = 1;
select is(b.lease_until > clock_timestamp() + interval '59 s', true, 'leased for a minute')
  from batch b where b.rev = 1;
select is_empty($$select publish_claim('s', 'two')$$, 'who is leased is nobody else''s');
select results_eq($$select d.ready, d.wait_s > 59 from publish.deliverable() d$$,
                  $$values (0, true)$$, 'deliverable knows when the lease ends');
select results_eq($$select l.worker, l.cursor from publish.lane_state l$$,
                  $$values ('one', 0::bigint)$$, 'the view shows who holds it');

-- settled
select results_eq(
  $$select s.sent, s.parked, s.dead, s.disabled from batch b, publish_settle(b.token) s
     where b.rev = 1$$, $$values (3, 0, 0, false)$$, 'settled, all are sent');
select is((select l.cursor from publish.lane_state l), 3::bigint, 'and the cursor moves');
select results_eq(
  $$select s.sent, s.parked from batch b, publish_settle(b.token) s where b.rev = 1$$,
  $$values (3, 0)$$, 'settling again says the same');
select is((select l.cursor from publish.lane_state l), 3::bigint, 'and changes nothing');
select results_eq($$select publish_extend(b.token) from batch b where b.rev = 1$$,
                  $$select b.lease_until from batch b where b.rev = 1$$,
                  'what is settled is extended no more');
select results_eq(
  $$select b.worker, b.claimed, b.sent, b.failed, b.cursor, b.cursor_to
      from publish.recent_batch b$$,
  $$values ('one', 3, 3, 0, 0::bigint, 3::bigint)$$, 'the log shows the batch');

-- a lease that ran out
create temp table late as select c.* from publish_claim('s', 'one') c;
select results_eq($$select l.rev from late l$$, $$values (4::bigint), (5)$$, 'the rest');
update publish.batch set lease_until = clock_timestamp() - interval '1 s' where settled_at is null;
select lives_ok($$select publish_extend(l.token) from late l$$,
                'while nobody else claimed it can be extended');
select is((select l.lease_until > clock_timestamp() from publish.lane_state l), true,
          'from now on');
update publish.batch set lease_until = clock_timestamp() - interval '1 s' where settled_at is null;
create temp table next as select c.* from publish_claim('s', 'two') c;
select results_eq($$select n.rev from next n$$, $$values (4::bigint), (5)$$,
                  'then another gets the same');
select is(n.token > l.token, true, 'with a higher token') from next n, late l
 where n.rev = 4 and l.rev = 4;
select throws_ok($$select publish_settle(l.token) from late l$$, 'PT409', null,
                 'who was presumed dead settles nothing');
select throws_ok($$select publish_extend(l.token) from late l$$, 'PT409', null, 'extends nothing');
select is((select l.cursor from publish.lane_state l), 3::bigint, 'the cursor stays');
select results_eq($$select s.sent from publish_settle((select min(n.token) from next n)) s$$,
                  $$values (2)$$, 'its new holder settles');

-- newest state
do $$
begin
  perform publish_enqueue('note', '1', '"a"');
  perform publish_drain();
  perform publish_enqueue('note', '1', '"b"');
  perform publish_drain();
end
$$;
select results_eq($$select c.rev, c.payload from publish_claim('s', 'w') c$$,
                  $$values (7::bigint, '"b"'::jsonb)$$, 'a key is sent once, as it is now');
do $$ begin perform publish_settle(max(l.token)) from publish.lane_state l; end $$;
select is((select l.cursor from publish.lane_state l), 7::bigint, 'up to the head');

-- what is not for it
do $$
begin
  perform publish_subscribe('o', 'stdout', kinds => '{other}');
end
$$;
select is_empty($$select d.name from publish.deliverable() d$$, 'no work for either');
select is((select publish.trim_delivery(100)), 0, 'maintenance trims nothing');
select is((select l.cursor from publish.lane_state l where l.subscription = 'o'), 7::bigint,
          'but steps an idle lane over what is not for it');

-- many bytes
do $$
begin
  perform publish_enqueue('note', 'big' || n, to_jsonb(repeat(md5(n::text), 400000)))
     from generate_series(1, 3) n;
  perform publish_drain();
end
$$;
select results_eq($$select count(*) from publish_claim('s', 'w') c$$, $$values (2::bigint)$$,
                  'a batch is at most 32 MB of payload');
do $$
begin
  perform publish_settle(max(l.token)) from publish.lane_state l where l.subscription = 's';
end
$$;
select results_eq($$select count(*) from publish_claim('s', 'w') c$$, $$values (1::bigint)$$,
                  'the next has the rest');

-- refused
select throws_ok($$select publish_claim('nope', 'w')$$, 'PT404', null, 'no such subscription');
select throws_ok($$select publish_claim('s', 'w', 0)$$, 'PT400', null, 'batch 0');
select throws_ok($$select publish_claim('s', '')$$, 'PT400', null, 'no worker');
select throws_ok($$select publish_settle(-1)$$, 'PT409', null, 'a token nobody was given');
select throws_ok($$select publish_settle(null)$$, 'PT409', null, 'no token');
select throws_ok(
  format($$select publish_settle(%s, '[{"pub_id": "x"}]')$$,
         (select max(l.token) from publish.lane_state l)), 'PT400', null, 'a failure of no key');
select throws_ok(
  format($$select publish_settle(%s, '{}')$$, (select max(l.token) from publish.lane_state l)),
  'PT400', null, 'failures that are no list');

select * from finish();
rollback;
