-- publish_verify: pages of the view against the feed, then pages of the feed against the view.
begin;
select plan(35);

select is(pg_get_function_arguments('publish_verify'::regproc),
          'kind text, repair boolean DEFAULT false, after text DEFAULT NULL::text, '
          'batch integer DEFAULT 1000, OUT next text, OUT checked integer, OUT missing integer, '
          'OUT stale integer, OUT surplus integer, OUT duplicate integer, '
          'OUT unpublishable integer, OUT pending integer, OUT repaired integer, '
          'OUT differences jsonb', 'arguments, defaults and columns');

create table price (id int primary key, amount numeric, divisor int default 1);
create view shown as select p.id, p.amount, 1 / p.divisor as one from price p;
do $$
begin
  perform publish_define('price', 'shown');
  perform publish_define('note');
  insert into price select n, n from generate_series(1, 7) n;
  perform publish_backfill('price');
  perform publish_drain();
end
$$;
create function pg_temp.found(kind text, repair boolean default false, batch int default 1000)
returns table (source_id text, problem text) language plpgsql as $$
declare
  v_page record;
  v_after text;
begin
  loop
    select p.* into v_page
      from publish_verify(found.kind, found.repair, v_after, found.batch) p;
    return query select d.source_id, d.problem
                   from jsonb_to_recordset(v_page.differences) as d (source_id text, problem text);
    v_after := v_page.next;
    exit when v_after is null;
  end loop;
end
$$;

-- pages
select results_eq(
  $$select v.next, v.checked, v.differences from publish_verify('price', batch => 2) v$$,
  $$values ('view:2', 2, null::jsonb)$$, 'a full page of the view says where to go on');
select results_eq(
  $$select v.next, v.checked from publish_verify('price', after => 'view:6', batch => 2) v$$,
  $$values ('feed:', 1)$$, 'behind the view''s last page comes the feed');
select results_eq(
  $$select v.next, v.checked from publish_verify('price', after => 'feed:', batch => 2) v$$,
  $$values ('feed:2', 0)$$, 'of which no key is counted again');
select results_eq(
  $$select v.next from publish_verify('price', after => 'feed:6', batch => 2) v$$,
  $$values (null::text)$$, 'to the end');
select is_empty($$select * from pg_temp.found('price', batch => 1)$$, 'nothing differs');

-- each problem
insert into price values (8, 8);
update price set amount = 1.0 where id = 1;
update price set divisor = 0 where id = 2;
delete from price where id = 3;
update publish.published set source_id = '5' where source_id = '4';
update publish.published set schema_version = 9 where source_id = '6';
select results_eq(
  $$select v.checked, v.missing, v.stale, v.surplus, v.duplicate, v.unpublishable, v.pending,
           v.repaired
      from publish_verify('price') v$$,
  $$values (7, 2, 2, 0, 0, 1, 0, 0)$$, 'the view''s page counts what it finds');
select bag_eq(
  $$select * from pg_temp.found('price')$$,
  $$values ('1', 'stale'), ('2', 'unpublishable'), ('3', 'surplus'), ('4', 'missing'),
           ('5', 'duplicate'), ('6', 'stale'), ('8', 'missing')$$,
  '1.0 is not 1; no projection; deleted; none and two in the feed; another version; new');
select bag_eq($$select * from pg_temp.found('price', batch => 1)$$,
              $$select * from pg_temp.found('price')$$, 'whatever the size of a page');
select is((select s.depth from publish_status() s), 0::bigint, 'looking marks nothing');

-- repair
select results_eq($$select v.repaired from publish_verify('price', true) v$$, $$values (4)$$,
                  'what cannot be published is marked, and not counted as repaired');
select results_eq($$select v.repaired from publish_verify('price', true, 'feed:') v$$,
                  $$values (2)$$, 'so is what the feed has too much of');
select results_eq(
  $$select v.pending, v.differences from publish_verify('price') v$$,
  $$values (5, null::jsonb)$$, 'what is marked is pending, and no difference');
select results_eq($$select v.pending, v.duplicate from publish_verify('price', after => 'feed:') v$$,
                  $$values (1, 0)$$, 'the duplicate was retired at once');
select is((select d.head - d.head_before from publish.drain d order by d.drain_id desc limit 1),
          1::bigint, 'with a rev of its own');
do $$
begin
  perform publish_drain();
end
$$;
select is_empty($$select * from pg_temp.found('price')$$, 'all is repaired');
select results_eq($$select v.pending from publish_verify('price') v$$, $$values (1)$$,
                  'or quarantined, which is pending');
select results_eq(
  $$select count(*), count(distinct p.source_id) from publish.published p where not p.deleted$$,
  $$values (7::bigint, 7::bigint)$$, 'one live row for each key, the quarantined one''s as it was');
select is((select max(p.rev) from publish.published p), publish_head(), 'head is the last rev');
select is((select sum(d.published)::bigint from publish.drain d), publish_head(),
          'and the chain has no gap');

-- duplicates in the view, keys that are no keys
create table thing (a text, b int);
insert into thing values ('x', 1), ('y', 1), ('', 1), (repeat('z', 2001), 1), (null, 1);
do $$
begin
  perform publish_define('thing', 'thing', '{a}');
  perform publish_define('pair', 'thing', '{a,b}');
  perform publish_enqueue('thing', 'x');
  perform publish_enqueue('pair', '["x", "1"]');
  perform publish_drain();
end
$$;
insert into thing values ('x', 1);
select bag_eq(
  $$select left(f.source_id, 1), f.problem from pg_temp.found('thing') f$$,
  $$values ('x', 'duplicate'), ('y', 'missing'), ('', 'unpublishable'), ('z', 'unpublishable')$$,
  'a key twice; an empty and a long one; a row without a key is none');
select bag_eq(
  $$select f.source_id, f.problem from pg_temp.found('pair', batch => 1) f
     where octet_length(f.source_id) < 2000$$,
  $$values ('["x", "1"]', 'duplicate'), ('["y", "1"]', 'missing'), ('["", "1"]', 'missing')$$,
  'composite keys');
do $$
begin
  perform pg_temp.found('thing', repair => true);
  perform publish_drain();
end
$$;
select results_eq($$select q.source_id, q.sqlstate from publish.quarantine q where q.kind = 'thing'$$,
                  $$values ('x', 'PT422')$$, 'which of two rows is right is for a person to say');

-- pending: a delayed enqueue is not due, and so what differs does differ; a walk makes all pending
do $$
begin
  update price set divisor = 1, amount = 7 where id = 2;
  delete from publish.deferred;
  perform publish_enqueue('price', '2', available_at => now() + interval '1 h');
end
$$;
select results_eq($$select * from pg_temp.found('price')$$, $$values ('2', 'stale')$$,
                  'what a delayed enqueue will repair differs until it is due');
do $$
begin
  perform publish_define('price', 'shown', schema_version => 2);
end
$$;
select results_eq(
  $$select v.pending, v.differences from publish_verify('price') v$$,
  $$values (7, null::jsonb)$$, 'a walk that is asked for makes every key pending');

-- refused
select throws_ok($$select publish_verify('nothing')$$, 'PT404', null, 'not defined');
select throws_ok($$select publish_verify('note')$$, 'PT404', null, 'a payload kind has no view');
select throws_ok($$select publish_verify(null)$$, 'PT404', null, 'no kind');
select throws_ok($$select publish_verify('price', batch => 0)$$, 'PT400', null, 'batch 0');
select throws_ok($$select publish_verify('price', batch => null)$$, 'PT400', null, 'batch null');
select throws_ok($$select publish_verify('price', after => '2')$$, 'PT400', null,
                 'after without its side');
select throws_ok($$select publish_verify('price', after => 'view:x')$$, 'PT400', null,
                 'after is no key of the view');
select throws_ok($$select publish_verify('pair', after => 'view:["x"]')$$, 'PT400', null,
                 'after has too few parts');
select lives_ok($$select publish_verify('price', after => 'feed:x')$$,
                'any text is a place in the feed');
drop view shown;
select throws_ok($$select publish_verify('price')$$, 'PT404', null, 'a view that is gone');

select * from finish();
rollback;
