-- publish_enqueue, the hand-attached trigger: which keys a write marks, and that no write fails.
begin;
select plan(19);

select is(pg_get_function_result('publish_enqueue()'::regprocedure), 'trigger',
          'a trigger function');

create table article (id int primary key, lang text, title text);
create view shown as select a.* from article a;
create table comment (id int primary key, article_id int);
do $$
begin
  perform publish_define('article', 'shown');
  perform publish_define('pair', 'shown', '{id,lang}');
end
$$;
create trigger publish after insert or update or delete on article
  for each row execute function publish_enqueue('article', 'id');
create trigger publish_parent after insert or update or delete on comment
  for each row execute function publish_enqueue('article', 'article_id');
create function pg_temp.marked() returns setof text language sql as $$
  with gone as (delete from publish.outbox o returning o.*)
  select concat_ws(' ', g.kind, m.key) from gone g cross join lateral unnest(g.source_ids) as m (key)
$$;

insert into article values (1, 'en', 'one'), (2, 'en', 'two');
select bag_eq('select pg_temp.marked()', $$values ('article 1'), ('article 2')$$,
              'insert marks each row''s key');
update article set title = 'uno' where id = 1;
select bag_eq('select pg_temp.marked()', $$values ('article 1')$$, 'update marks the key once');
update article set id = 3 where id = 2;
select bag_eq('select pg_temp.marked()', $$values ('article 2'), ('article 3')$$,
              'update of the key marks the old and the new one');
delete from article where id = 3;
select bag_eq('select pg_temp.marked()', $$values ('article 3')$$, 'delete marks the key');
insert into article values (1, 'en', 'again') on conflict do nothing;
select is_empty('select pg_temp.marked()', 'a row that was not inserted marks nothing');

insert into comment values (10, 1);
select bag_eq('select pg_temp.marked()', $$values ('article 1')$$, 'a child marks its parent');
update comment set article_id = 7;
select bag_eq('select pg_temp.marked()', $$values ('article 1'), ('article 7')$$,
              'a child that moves marks both parents');
update comment set article_id = null;
select bag_eq('select pg_temp.marked()', $$values ('article 7')$$,
              'a child that leaves marks the parent it had');
set local client_min_messages = error; -- the next ones warn
select lives_ok($$insert into comment values (11, null)$$, 'a row without a key does not fail');
select is_empty('select pg_temp.marked()', 'and marks nothing');

create trigger pair after insert or update on article
  for each row execute function publish_enqueue('pair', 'id', 'lang');
update article set lang = 'de' where id = 1;
select bag_eq('select pg_temp.marked()',
              $$values ('article 1'), ('pair ["1", "en"]'), ('pair ["1", "de"]')$$,
              'several columns are a composite key');

create trigger undefined after update on article
  for each row execute function publish_enqueue('nothing', 'id');
create trigger without_arguments after update on article
  for each row execute function publish_enqueue();
create trigger without_a_row after update on article
  for each statement execute function publish_enqueue('article', 'id');
create trigger wrong_column after update on article
  for each row execute function publish_enqueue('article', 'no_column');
select lives_ok($$update article set title = 'still' where id = 1$$,
                'no trigger, however badly attached, fails the write');
select set_has('select pg_temp.marked()', $$values ('article 1')$$, 'the good one still marks');
select is((select a.title from article a where a.id = 1), 'still', 'and the row is written');
drop trigger undefined on article;
drop trigger without_arguments on article;
drop trigger without_a_row on article;
drop trigger wrong_column on article;

create trigger before_row before update on article
  for each row execute function publish_enqueue('article', 'id');
update article set title = 'kept' where id = 1;
select is((select a.title from article a where a.id = 1), 'kept',
          'as BEFORE trigger it keeps the row');
select isnt_empty('select pg_temp.marked()', 'and marks it');
drop trigger before_row on article;

-- truncate
create trigger publish_truncate after truncate on article
  for each statement execute function publish_enqueue('article', 'id');
do $$
begin
  perform publish_enqueue('article', '1');
  perform publish_drain();
  perform pg_temp.marked();
end
$$;
truncate article;
select results_eq($$select w.kind, w.reason from publish.walk w$$,
                  $$values ('article', 'TRUNCATE of public.article')$$,
                  'truncate asks the drain to walk the kind');
do $$ begin perform publish_drain(); end $$; -- the walk's page
select results_eq($$select d.published from publish_drain() d$$, $$values (1)$$, 'finds it gone');

select * from finish();
rollback;
