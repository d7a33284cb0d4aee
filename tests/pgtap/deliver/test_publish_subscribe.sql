-- Subscriptions: defined, defined again, refused, removed; sinks and their options.
begin;
select plan(58);

select is(pg_get_function_arguments('publish_subscribe'::regproc),
          'name text, sink text, options jsonb DEFAULT NULL::jsonb, kinds text[] DEFAULT '
          'NULL::text[], from_rev bigint DEFAULT NULL::bigint, lanes integer DEFAULT NULL::integer, '
          'max_attempts integer DEFAULT NULL::integer, backoff_min interval DEFAULT NULL::interval, '
          'backoff_max interval DEFAULT NULL::interval, lease interval DEFAULT NULL::interval, '
          'key boolean DEFAULT NULL::boolean, rate numeric DEFAULT NULL::numeric, on_reset text '
          'DEFAULT NULL::text, give_up_after interval DEFAULT NULL::interval, filter text '
          'DEFAULT NULL::text',
          'arguments and defaults');

do $$
begin
  perform publish_define('note');
  perform publish_define('event');
  perform publish_enqueue('note', n::text, to_jsonb(n)) from generate_series(1, 9) n;
  perform publish_enqueue('event', '1', '{}');
  perform publish_drain();
  perform publish_enqueue('note', '9', deleted => true);
  perform publish_drain();
end
$$; -- notes are revs 1 to 8, the event 10, the tombstone of note 9 is 11

-- where it begins
select lives_ok($$select publish_subscribe('all', 'stdout')$$, 'a name and a sink will do');
select results_eq($$select c.rev from publish_claim('all', 'w') c$$,
                  $$values (1::bigint), (2), (3), (4), (5), (6), (7), (8), (10)$$,
                  'it begins with everything, without the tombstones of before');
select lives_ok($$select publish_subscribe('from', 'stdout', from_rev => 8)$$, 'or after a rev');
select results_eq($$select c.rev, c.deleted from publish_claim('from', 'w') c$$,
                  $$values (10::bigint, false), (11, true)$$, 'then with later tombstones');
select lives_ok(
  $$select publish_subscribe('new', 'stdout', from_rev => publish_head())$$, 'or at the head');
select is_empty($$select publish_claim('new', 'w')$$, 'then there is nothing yet');
select throws_ok($$select publish_subscribe('x', 'stdout', from_rev => 12)$$, 'PT410', null,
                 'above the head there is no beginning');
select lives_ok($$select publish_subscribe('some', 'stdout', kinds => '{event}')$$,
                'or some kinds');
select results_eq($$select c.kind, c.rev from publish_claim('some', 'w') c$$,
                  $$values ('event', 10::bigint)$$, 'only those are sent');

-- lanes
select lives_ok($$select publish_subscribe('wide', 'stdout', lanes => 3)$$, 'several lanes');
create temp table claimed as
  select c.* from generate_series(1, 4) as n (n)
   cross join lateral publish_claim('wide', 'w' || n.n) c;
select is(count(distinct c.token), count(distinct c.lane), 'a lane has one holder')
  from claimed c;
select is(count(*), 9::bigint, 'each change is in one lane') from claimed c;
select is(count(distinct c.pub_id), 9::bigint, 'each key is in one lane') from claimed c;
select bag_eq($$select c.lane from claimed c$$,
              $$select publish.lane_of(c.pub_id, 3) from claimed c$$, 'by its pub_id');
select is(publish.lane_of('00000000-0000-0000-0000-00000000ffff', 256), 255, 'lane_of: last bytes');
select is(publish.lane_of('00000000-0000-0000-0000-000000000100', 7), 256 % 7, 'both of them');

-- again
select lives_ok($$select publish_subscribe('from', 'stdout', max_attempts => 3)$$,
                'a name may be defined again');
select is((select s.max_attempts from publish.subscription s where s.name = 'from'), 3,
          'with other settings');
select results_eq(
  $$select s.sent from publish_settle((select l.token from publish.lane_state l
                                        where l.subscription = 'from')) s$$,
  $$values (2)$$,
  'its batch in flight may be settled');
select is((select l.cursor from publish.lane_state l where l.subscription = 'from'), 11::bigint,
          'and it goes on where it was, whatever from_rev');
do $$ begin perform publish_settle(min(c.token)) from claimed c; end $$;
select lives_ok($$select publish_subscribe('wide', 'stdout', lanes => 2)$$, 'fewer lanes');
select results_eq(
  $$select l.lane, l.cursor from publish.lane_state l where l.subscription = 'wide' order by 1$$,
  $$values (0, 0::bigint), (1, 0)$$, 'go on from the slowest');
select throws_ok(format('select publish_settle(%s)', max(c.token)), 'PT409', null,
                 'batches of the old lanes are stale') from claimed c;
select results_eq(
  $$select count(*) from generate_series(1, 2) n
     cross join lateral publish_claim('wide', 'w' || n) c$$,
  $$values (9::bigint)$$, 'nothing is missed');

-- again: what is not given stays
create function pg_temp.settings() returns text language sql as $$
  select concat_ws(' ', s.sink, s.options, s.kinds, s.lanes, s.max_attempts, s.backoff_min,
                   s.backoff_max, s.lease, s.key, s.rate, s.on_reset, s.give_up_after)
    from publish.subscription s where s.name = 'kept'
$$;
do $$
begin
  perform publish_subscribe('kept', 'webhook', '{"url": "u", "mode": "binary"}', '{note}', 0, 4, 30,
                            '2 s', '3 s', '4 s', true, 2.5, 'pause', '1 day');
  perform publish_subscribe('kept', 'webhook');
end
$$;
select is(pg_temp.settings(),
          'webhook {"url": "u", "mode": "binary"} {note} 4 30 00:00:02 00:00:03 00:00:04 t 2.5 pause '
          '1 day',
          'with nothing else given, nothing changes');
select lives_ok($$select publish_subscribe('kept', 'webhook', '{"secrets": "env:S", "mode": null}',
                                           max_attempts => 5)$$, 'one setting, one option');
select is(pg_temp.settings(),
          'webhook {"url": "u", "secrets": "env:S"} {note} 4 5 00:00:02 00:00:03 00:00:04 t 2.5 pause '
          '1 day',
          'changes these, and null removes an option');
select throws_ok($$select publish_subscribe('kept', 'webhook', '{"url": null}')$$, 'PT400', null,
                 'but not one that is needed');
select throws_ok($$select publish_subscribe('kept', 'webhook', kinds => '{}')$$, 'PT400', null,
                 'no kinds are not all kinds');
select throws_ok($$select publish_subscribe('kept', 'webhook', backoff_max => '1 s')$$, 'PT400',
                 null, 'what is kept counts');
select lives_ok($$select publish_subscribe('kept', 'stdout', kinds => '{*}')$$,
                'all kinds are asked for by name');
select is(pg_temp.settings(), 'stdout {} 4 5 00:00:02 00:00:03 00:00:04 t 2.5 pause '
          '1 day',
          'another sink begins without options');
select throws_ok($$select publish_subscribe('kept', 'stdout', kinds => '{*,note}')$$, 'PT404', null,
                 'a star stands alone');

-- refused
select throws_ok($$select publish_subscribe('x', 'pigeon')$$, 'PT404', null, 'an unknown sink');
select throws_ok($$select publish_subscribe('x', 'stdout', kinds => '{nope}')$$, 'PT404', null,
                 'an undefined kind');
select throws_ok($$select publish_subscribe('x', 'stdout', kinds => '{}')$$, 'PT400', null,
                 'no kind at all');
select throws_ok($$select publish_subscribe('', 'stdout')$$, 'PT400', null, 'no name');
select throws_ok($$select publish_subscribe(null, 'stdout')$$, 'PT400', null, 'null name');
select throws_ok(format('select publish_subscribe(''x'', ''stdout'', %s)', s.setting), 'PT400',
                 null, s.setting)
  from (values ('lanes => 0'), ('lanes => 257'), ('max_attempts => 0'), ('lease => ''0'''),
               ('backoff_min => ''2 s'', backoff_max => ''1 s'''), ('from_rev => -1'),
               ('rate => -1'), ('give_up_after => ''0'''), ('on_reset => ''hope'''),
               ('options => ''[]'''), ('options => ''{"source": "env:X"}''')) as s (setting);
create function pg_temp.detail(query text) returns text language plpgsql as $$
declare
  v_detail text;
begin
  execute query;
  return null;
exception when others then
  get stacked diagnostics v_detail = pg_exception_detail;
  return sqlstate || ' ' || v_detail;
end
$$;
select is(pg_temp.detail($$select publish_subscribe('x', 'webhook',
                                                    '{"url": "u", "retires": 1}')$$),
          $$PT400 sink 'webhook', unknown option 'retires'$$, 'an unknown option is named');
select is(pg_temp.detail($$select publish_subscribe('x', 'webhook')$$),
          $$PT400 sink 'webhook', missing 'url'$$, 'a missing one too');
select is(pg_temp.detail($$select publish_subscribe('x', 'webhook', '{"url": 7}')$$),
          $$PT400 sink 'webhook', option 'url'$$, 'and one of another type');
select lives_ok($$select publish_subscribe('x', 'webhook',
                                           '{"url": "env:URL", "secrets": "env:SECRETS"}')$$,
                'env:NAME may stand for any');

-- a third party's sink
select lives_ok($$select publish_register_sink('pigeon', '{"loft": "string required"}')$$,
                'a sink can be registered');
select throws_ok($$select publish_subscribe('p', 'pigeon')$$, 'PT400', null, 'with its options');
select throws_ok($$select publish_register_sink('pigeon', '{"loft": "house"}')$$, 'PT400', null,
                 'which have JSON types');

-- removed
do $$
begin
  perform publish_unsubscribe('wide');
end
$$;
select throws_ok($$select publish_claim('wide', 'w')$$, 'PT404', null, 'unsubscribed is gone');

select * from finish();
rollback;
