-- A key that fails is set aside with its SQLSTATE; the rest of the batch is published.
begin;
select plan(24);

create table ratio (id int primary key, a int, b int);
create view shown as select r.id, r.a / r.b as ratio from ratio r;
insert into ratio
select n, 10, case when n in (3, 7) then 0 else n end from generate_series(1, 8) n;
create view twice as select r.id, s.n from ratio r, generate_series(1, 2) as s (n);
create function small(payload jsonb) returns boolean return (payload ->> 'ratio')::int < 10;
do $$
begin
  perform publish_define('ratio', 'shown');
  perform publish_backfill('ratio');
end
$$;

select results_eq('select * from publish_drain()', $$values (8, 8, 6, 0, 2, 6::bigint, false)$$,
                  'two of eight fail');
select results_eq(
  $$select q.kind, q.source_id, q.sqlstate, q.message, q.attempts
      from publish.quarantine q order by q.source_id$$,
  $$values ('ratio', '3', '22012', 'division by zero', 1),
           ('ratio', '7', '22012', 'division by zero', 1)$$,
  'each with its reason');
select results_eq(
  $$select q.due_at - q.last_failed_at between '5 s' and '10 s' from publish.quarantine q$$,
  $$values (true), (true)$$, 'to be tried again in ten seconds at most');
select results_eq($$select d.scanned from publish_drain() d$$, $$values (0)$$, 'not before');

-- tried again
update publish.deferred set due_at = clock_timestamp() - interval '1 s';
select results_eq($$select d.quarantined from publish_drain() d$$, $$values (2)$$,
                  'when due they are tried');
select results_eq(
  $$select q.attempts, q.due_at - q.last_failed_at between '10 s' and '20 s'
      from publish.quarantine q$$,
  $$values (2, true), (2, true)$$, 'and wait twice as long after another failure');
update ratio set b = 1 where id = 3;
update publish.deferred set due_at = clock_timestamp() - interval '1 s'
 where source_id = '3';
select results_eq($$select d.published from publish_drain() d$$, $$values (1)$$,
                  'what was mended is published');
select results_eq($$select q.source_id from publish.quarantine q$$, $$values ('7')$$,
                  'and leaves the quarantine');
update ratio set b = 1 where id = 7;
do $$
begin
  perform publish_enqueue('ratio', '7');
end
$$;
select results_eq($$select d.published from publish_drain() d$$, $$values (1)$$,
                  'an enqueue does not wait for the next attempt');
select is_empty('select from publish.quarantine', 'the quarantine is empty again');

-- reasons
do $$
begin
  perform publish_define('small', 'shown', validator => 'small(jsonb)');
  perform publish_define('twice', 'twice');
  perform publish_enqueue('small', '1');
  perform publish_enqueue('small', '2');
  perform publish_enqueue('twice', '1');
  perform publish_enqueue('ratio', 'no number');
  insert into publish.outbox (kind, source_ids) values ('undefined', '{1}');
end
$$;
select results_eq($$select d.keys, d.published, d.quarantined from publish_drain() d$$,
                  $$values (5, 1, 4)$$, 'one of five is right');
select results_eq(
  $$select q.kind, q.source_id, q.sqlstate from publish.quarantine q order by q.kind, q.source_id$$,
  $$values ('ratio', 'no number', '22P02'), ('small', '1', 'PT422'), ('twice', '1', 'PT422'),
           ('undefined', '1', 'PT404')$$,
  'no value of the key''s type; refused by the validator; two rows of one key; no such kind');
select is_empty($$select from publish.published p where p.kind in ('twice', 'undefined')$$,
                'no garbage is published');
select results_eq($$select p.source_id from publish.published p where p.kind = 'small'$$,
                  $$values ('2')$$, 'the key beside the refused one is');

-- defined later
select lives_ok($$select publish_define('undefined')$$, 'the kind is defined, without a view');
select lives_ok('select publish_drain()', 'it is tried at once');
select is_empty(
  $$select from publish.quarantine q where q.kind = 'undefined'$$,
  'a key without payload can never be published of it, and waits no longer');
select lives_ok($$select publish_define('undefined', 'shown')$$, 'it is defined over a view');
do $$ begin perform publish_drain(); end $$; -- the walk's page
select lives_ok('select publish_drain()', 'and tried at once again');
select bag_eq($$select p.source_id from publish.published p where p.kind = 'undefined'$$,
              $$select r.id::text from ratio r$$, 'and published with all the view shows');
do $$ begin perform publish_drain(); end $$; -- the walk's page of the feed

-- a broken view
drop view shown;
do $$
begin
  perform publish_enqueue('ratio', n::text) from generate_series(1, 8) n;
end
$$;
select results_eq($$select d.keys, d.published, d.quarantined from publish_drain() d$$,
                  $$values (8, 0, 8)$$, 'a view that is gone sets its keys aside');
select is((select count(*) from publish.published p where p.kind = 'ratio' and not p.deleted),
          8::bigint, 'and deletes nothing');
create view shown as select r.id, r.a / r.b as ratio from ratio r;
grant select on shown to publish_projector;
update publish.deferred set due_at = clock_timestamp() - interval '1 s'
 where kind = 'ratio' and source_id <> 'no number';
select results_eq($$select d.published from publish_drain() d$$, $$values (0)$$,
                  'created again, it serves the same keys');
select results_eq($$select q.source_id from publish.quarantine q where q.kind = 'ratio'$$,
                  $$values ('no number')$$, 'and sets them free');


select * from finish();
rollback;
