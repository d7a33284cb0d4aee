-- Kinds with a view: the feed says what the view says when the drain looks.
begin;
select plan(27);

create table country (code text primary key, name text);
create table article (id int primary key, country text, title text, live boolean default true);
create view shown as
  select a.id, a.title, c.name as country
    from article a left join country c on c.code = a.country
   where a.live;
insert into country values ('fr', 'France');
insert into article values (1, 'fr', 'one'), (2, 'fr', 'two');
do $$
begin
  perform publish_define('article', 'shown');
end
$$;
create function pg_temp.drain(variadic source_ids text[], out published int, out unchanged int)
language plpgsql as $$
begin
  perform publish_enqueue('article', s.id) from unnest(source_ids) as s (id);
  select d.published, d.unchanged into published, unchanged from publish_drain() d;
end
$$;
create view feed as
  select p.rev, p.source_id, p.deleted, p.payload from publish.published p order by p.rev;

select results_eq($$select * from pg_temp.drain('1', '2')$$, $$values (2, 0)$$, 'two new keys');
select results_eq(
  'select * from feed',
  $$values (1::bigint, '1', false, '{"id": 1, "title": "one", "country": "France"}'::jsonb),
           (2, '2', false, '{"id": 2, "title": "two", "country": "France"}')$$,
  'the payload is the row of the view');

update article set title = 'one' where id = 1;
select results_eq($$select * from pg_temp.drain('1')$$, $$values (0, 1)$$, 'no change, no rev');
update country set name = 'République française';
select results_eq($$select * from pg_temp.drain('1', '2')$$, $$values (2, 0)$$,
                  'a change in a joined table');
select results_eq($$select distinct f.payload ->> 'country' from feed f$$,
                  $$values ('République française')$$, 'shows in every key');

-- deletion
create temp table first_pub_id as select publish_pub_id('article', '1') as pub_id;
update article set live = false where id = 1;
select results_eq($$select * from pg_temp.drain('1')$$, $$values (1, 0)$$,
                  'a key that leaves the view gets a rev');
select results_eq($$select f.rev, f.deleted, f.payload from feed f where f.source_id = '1'$$,
                  $$values (5::bigint, true, null::jsonb)$$, 'and is a tombstone');
select results_eq($$select * from pg_temp.drain('1')$$, $$values (0, 1)$$, 'once');
update article set live = true where id = 1;
select results_eq($$select * from pg_temp.drain('1')$$, $$values (1, 0)$$,
                  'a key that comes back is published');
select is(publish_pub_id('article', '1'), (select f.pub_id from first_pub_id f),
          'under the pub_id it had');
select results_eq($$select * from pg_temp.drain('99')$$, $$values (0, 1)$$,
                  'a key that never was is no tombstone');
select is((select count(*) from feed), 2::bigint, 'one row per key, whatever happened');

-- how keys are spelled
select results_eq($$select d.published from pg_temp.drain('01', ' 1') d$$, $$values (0)$$,
                  'other spellings of a key are that key');
select is_empty($$select from feed f where f.source_id in ('01', ' 1')$$,
                'and not published beside it');

-- settings of the session do not show in the payload
create table moment (
  id int primary key, at timestamptz, day date, took interval, raw bytea, x float8
);
insert into moment
values (1, '2024-05-06 07:08:09+02', '2024-05-06', '1 day 02:03', '\xdeadbeef', 1 / 3.0);
create view moment_shown as select m.* from moment m;
do $$
begin
  perform publish_define('moment', 'moment_shown');
  perform publish_enqueue('moment', '1');
end
$$;
select results_eq('select d.published from publish_drain() d', $$values (1)$$, 'times and bytes');
set local timezone = 'Asia/Tokyo';
set local datestyle = 'German';
set local intervalstyle = 'sql_standard';
set local bytea_output = 'escape';
set local extra_float_digits = -5;
select lives_ok($$select publish_enqueue('moment', '1')$$,
                'again in a session with other settings');
select results_eq('select d.unchanged from publish_drain() d', $$values (1)$$,
                  'equal data is an equal payload');

-- schema_version
select lives_ok($$select publish_define('article', 'shown', schema_version => 2)$$,
                'a new schema_version');
do $$ begin perform publish_drain(); end $$; -- the walk's page
select results_eq('select d.published from publish_drain() d', $$values (2)$$,
                  'publishes every key again');
select results_eq($$select distinct p.schema_version from publish.published p
                     where p.kind = 'article'$$, $$values (2)$$, 'under that version');

-- composite keys
create view pair as select a.id, a.country, a.title from article a;
do $$
begin
  perform publish_define('pair', 'pair', '{country,id}');
  perform publish_backfill('pair');
end
$$;
select results_eq('select d.published from publish_drain() d', $$values (2)$$, 'composite keys');
select results_eq($$select p.source_id from publish.published p where p.kind = 'pair' order by 1$$,
                  $$values ('["fr", "1"]'), ('["fr", "2"]')$$, 'are JSON arrays');
delete from article where id = 2;
do $$
begin
  perform publish_enqueue('pair', '["fr",2]');
end
$$;
select results_eq('select d.published from publish_drain() d', $$values (1)$$,
                  'and found in another spelling');
select results_eq($$select f.source_id from feed f where f.source_id like '[%' and f.deleted$$,
                  $$values ('["fr", "2"]')$$, 'to be a tombstone');

-- another view
create view titles as select a.id, a.title from article a;
select lives_ok($$select publish_define('article', 'titles', schema_version => 2)$$,
                'another view');
select is((select sum(d.published)
             from generate_series(500, 503) n cross join lateral publish_drain(n) d),
          2::bigint, 'publishes every key, and the one that is gone');
select results_eq(
  $$select p.source_id, p.payload from publish.published p
     where p.kind = 'article' order by p.source_id$$,
  $$values ('1', '{"id": 1, "title": "one"}'::jsonb), ('2', null)$$,
  'as the new view shows it');

select * from finish();
rollback;
