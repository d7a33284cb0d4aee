-- publish_audit: one row for each thing that keeps a kind from being captured.
begin;
select plan(27);

select is(pg_get_function_arguments('publish_audit'::regproc), 'kind text DEFAULT NULL::text',
          'arguments and defaults');
select is(pg_get_function_result('publish_audit'::regproc),
          'TABLE(of_kind text, object text, problem text, hint text)', 'columns');
select is_empty('select * from publish_audit()', 'nothing is defined, nothing is wrong');

create table author (id int primary key, name text);
create table article (id int primary key, author_id int, title text, note text);
create view article_feed as
  select a.id, a.title, u.name from article a left join author u on u.id = a.author_id;
create function pg_temp.problems(kind text default 'article')
returns table (object text, problem text) language sql as $$
  select replace(a.object, 'public.', ''), a.problem from publish_audit(problems.kind) a
$$;
create function pg_temp.id(source text) returns int language sql as $$
  select c.capture_id from publish.capture c where c.source = 'public.' || id.source
$$;
do $$
begin
  perform publish_define('note');
  perform publish_define('article', 'article_feed');
end
$$;
select results_eq(
  $$select * from pg_temp.problems()$$,
  $$values ('article', 'the view reads this table, but it is not captured'),
           ('author', 'the view reads this table, but it is not captured')$$,
  'neither table is captured');
select is_empty($$select * from pg_temp.problems('note')$$, 'a payload kind needs no capture');
do $$
begin
  perform publish_capture('article', 'article', columns => '{author_id,title}');
  perform publish_capture('article', 'author', lookup =>
                          'select id from article where author_id = any ($1)');
end
$$;
select is_empty('select * from publish_audit()', 'captured, all is well');
select is((select count(*) from publish.walk), 0::bigint, 'a first capture asks for no walk');

-- triggers
do $$
begin
  execute format('alter table article disable trigger publish_%s_update', pg_temp.id('article'));
  execute format('drop trigger publish_%s_delete on author', pg_temp.id('author'));
end
$$;
select results_eq(
  $$select * from pg_temp.problems()$$,
  $$values ('article', 'disabled for update'), ('author', 'no trigger for delete')$$,
  'one is disabled, one is gone');
select is((select count(*) from publish_audit() a where a.hint = ''), 0::bigint,
          'each with something to do');
do $$
begin
  perform publish_capture('article', 'article', columns => '{author_id,title}');
end
$$;
select results_eq($$select * from pg_temp.problems()$$,
                  $$values ('author', 'no trigger for delete')$$, 'captured again, one is mended');
select results_eq('select r.kind from publish.walk r', $$values ('article')$$,
                  'and what it missed is walked');
do $$
begin
  perform publish_capture('article', 'author', lookup =>
                          'select id from article where author_id = any ($1)');
end
$$;
select is_empty('select * from publish_audit()', 'so is the other');

do $$
begin
  execute format('create or replace function publish_gate.capture_%s() returns trigger language plpgsql'
                 ' as ''begin return null; end''', pg_temp.id('author'));
end
$$;
select results_eq(
  $$select * from pg_temp.problems()$$,
  $$values ('author', 'the trigger function is not what publish_capture made of it')$$,
  'a function that was edited');
select is(publish.renew_captures(), 1, 'can be made again without a lock on its table');
select is_empty('select * from publish_audit()', 'and is right');

-- columns and children
alter table article rename title to headline;
select is_empty('select * from publish_audit()', 'a renamed column is followed');
create or replace view article_feed as
  select a.id, a.headline as title, u.name, a.note
    from article a left join author u on u.id = a.author_id;
select results_eq(
  $$select * from pg_temp.problems()$$,
  $$values ('article', 'the view reads note, but an update of that alone is not captured')$$,
  'a column that the view shows since');
do $$
begin
  perform publish_capture('article', 'article');
end
$$;
create table special () inherits (article);
select results_eq($$select * from pg_temp.problems()$$,
                  $$values ('special', 'a new partition or child is not captured')$$, 'a child');
drop table special;

-- what is gone
alter table article drop column author_id cascade;
select results_eq(
  $$select a.object, left(a.problem, 34) from publish_audit() a order by 1, 2$$,
  $$values ('public.article_feed', 'the view or its key column is gone'),
           ('public.author', 'functions of the capture are gone,')$$,
  'DROP … CASCADE took the view, and the lookup with it');
drop table author cascade;
select ok(exists (select from publish_audit() a
                   where a.object = 'public.author' and a.problem = 'the captured table is gone'
                     and a.hint like '%publish_uncapture(%'), 'a table that is gone');
select is(publish_uncapture('article', 'public.author'), 1, 'is uncaptured by its name');
create view article_feed as select a.id, a.headline from article a;
do $$
begin
  perform publish_define('article', 'article_feed');
end
$$;
select is_empty('select * from publish_audit()', 'a new view of what is left is enough');

create function refuse(payload jsonb) returns boolean return false;
do $$
begin
  perform publish_define('article', 'article_feed', validator => 'refuse(jsonb)');
end
$$;
drop function refuse;
select results_eq($$select a.problem from publish_audit() a$$,
                  $$values ('the validator does not exist')$$, 'a validator that is gone');
do $$
begin
  perform publish_define('article', 'article_feed');
  update publish.walk set message = 'division by zero';
end
$$;
select ok((select bool_and(a.problem = 'a walk over the kind fails: division by zero')
             from publish_audit() a), 'a walk that fails');
delete from publish.walk;

-- one kind or all
do $$
begin
  perform publish_define('other', 'article_feed');
end
$$;
select is_empty($$select * from pg_temp.problems('article')$$, 'one kind is right');
select results_eq('select a.of_kind from publish_audit() a', $$values ('other')$$,
                  'another is not captured by the first one''s triggers');
select throws_ok($$select publish_audit('nothing')$$, 'PT404', null, 'not defined');

select * from finish();
rollback;
