-- publish_backfill: bounded pages of the view's keys, in key order.
begin;
select plan(29);

select is(pg_get_function_arguments('publish_backfill'::regproc),
          'kind text, after text DEFAULT NULL::text, batch integer DEFAULT 1000, '
          'OUT next text, OUT marked integer', 'arguments, defaults and columns');

create table article (id int, lang text, title text);
insert into article values (10, 'en', 'ten'), (2, 'en', 'two'), (1, 'en', 'one'), (3, 'en',
                            'three');
create view shown as select a.* from article a;
do $$
begin
  perform publish_define('article', 'shown');
  perform publish_define('pair', 'shown', '{id,lang}');
  perform publish_define('title', 'shown', '{title}');
  perform publish_define('note');
end
$$;
create function pg_temp.marked() returns setof text language sql as $$
  with gone as (delete from publish.outbox o returning o.*)
  select m.source_id from gone g cross join lateral unnest(g.source_ids) as m (source_id)
$$;

select results_eq($$select b.next, b.marked from publish_backfill('article') b$$,
                  $$values (null::text, 4)$$, 'one page when the batch holds all');
select bag_eq('select pg_temp.marked()', $$values ('1'), ('2'), ('3'), ('10')$$,
              'every key is marked');

select results_eq($$select b.next, b.marked from publish_backfill('article', batch => 3) b$$,
                  $$values ('3', 3)$$, 'a full page says where to go on');
select bag_eq('select pg_temp.marked()', $$values ('1'), ('2'), ('3')$$,
              'in the order of the column''s type: 10 comes after 3');
select results_eq($$select b.next, b.marked from publish_backfill('article', '3', 3) b$$,
                  $$values (null::text, 1)$$, 'the last page ends');
select bag_eq('select pg_temp.marked()', $$values ('10')$$, 'with what was left');
select results_eq($$select b.next, b.marked from publish_backfill('article', '2', 2) b$$,
                  $$values ('10', 2)$$, 'a last page that is full');
select results_eq($$select b.next, b.marked from publish_backfill('article', '10', 2) b$$,
                  $$values (null::text, 0)$$, 'is followed by an empty one');
do $$ begin perform pg_temp.marked(); end $$;
delete from article where id = 3;
select results_eq($$select b.next, b.marked from publish_backfill('article', '3') b$$,
                  $$values (null::text, 1)$$,
                  'a key that is gone by now is still a place to go on');
do $$ begin perform pg_temp.marked(); end $$;

-- composite keys
insert into article values (1, 'de', 'eins'), (2, null, 'no language');
select results_eq($$select b.next, b.marked from publish_backfill('pair', batch => 2) b$$,
                  $$values ('["1", "en"]', 2)$$, 'a composite key as its JSON array');
select bag_eq('select pg_temp.marked()', $$values ('["1", "de"]'), ('["1", "en"]')$$,
              'ordered by its columns');
select results_eq($$select b.next, b.marked from publish_backfill('pair', '["1", "en"]', 1) b$$,
                  $$values ('["2", "en"]', 1)$$, 'goes on between two rows of one first column');
select results_eq($$select b.next, b.marked from publish_backfill('pair', '["2", "en"]', 1) b$$,
                  $$values ('["10", "en"]', 1)$$, 'a row whose key has a null is passed over');
select results_eq($$select b.next, b.marked from publish_backfill('pair', '["1", "en"]', 2) b$$,
                  $$values ('["10", "en"]', 2)$$, 'and ends no page before its time');
do $$ begin perform pg_temp.marked(); end $$;

-- text keys
insert into article values (20, 'en', ''), (21, 'en', repeat('x', 3000)), (22, 'en', 'zz ''"\ é');
select lives_ok($$select publish_backfill('title')$$, 'keys that cannot be published');
select set_hasnt('select pg_temp.marked()', $$values (''), (repeat('x', 3000))$$, 'are left out');
select lives_ok($$select publish_backfill('title', 'zz ''"\ é')$$, 'quotes in after');
do $$ begin perform pg_temp.marked(); end $$;

-- what happens then
select lives_ok($$select publish_backfill('article', '20')$$, 'marking');
select lives_ok($$select publish_backfill('article', '20')$$, 'twice');
select results_eq($$select d.scanned, d.keys, d.published from publish_drain() d$$,
                  $$values (4, 2, 2)$$, 'publishes once');

-- refused
select throws_ok($$select publish_backfill('nothing')$$, 'PT404', null,
                 'a kind that is not defined');
select throws_ok($$select publish_backfill('note')$$, 'PT404', null,
                 'a payload kind: it has no view');
select throws_ok($$select publish_backfill('article', batch => 0)$$, 'PT400', null, 'batch 0');
select throws_ok($$select publish_backfill('article', batch => null)$$, 'PT400', null,
                 'batch null');
select throws_ok($$select publish_backfill('article', 'x')$$, 'PT400', null,
                 'after is no value of the key''s type');
select throws_ok($$select publish_backfill('pair', '1')$$, 'PT400', null,
                 'after is not the array of a composite key');
select throws_ok($$select publish_backfill('pair', '["1"]')$$, 'PT400', null,
                 'after has too few parts');
drop view shown;
select throws_ok($$select publish_backfill('article')$$, 'PT404', null, 'a view that is gone');

select * from finish();
rollback;
