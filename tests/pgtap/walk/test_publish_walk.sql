-- publish_walk asks for a walk over a whole kind; publish_walks shows those that there are.
begin;
select plan(20);

select is(pg_get_function_arguments('publish_walk'::regproc), 'kind text', 'arguments');
select is(pg_get_function_result('publish_walk'::regproc), 'timestamp with time zone',
          'it returns when it was asked for');
select is(pg_get_function_arguments('publish_walks'::regproc), 'kind text DEFAULT NULL::text',
          'arguments of publish_walks');
select is(pg_get_function_result('publish_walks'::regproc),
          'TABLE(of_kind text, reason text, "position" text, marked bigint, estimate bigint, '
          'requested_at timestamp with time zone, began_at timestamp with time zone, '
          'ended_at timestamp with time zone, due_at timestamp with time zone, '
          'attempts integer, message text)', 'columns');
select volatility_is('public', 'publish_walks', 'stable', 'stable: it may run on a standby');

create table article (id int primary key, title text);
insert into article select n, 'x' from generate_series(1, 5) n;
create view article_feed as select a.* from article a;
do $$
begin
  perform publish_define('article', 'article_feed');
  perform publish_define('note');
end
$$;

select throws_ok($$select publish_walk('nothing')$$, 'PT404', null,
                 'a kind that is not defined');
select throws_ok($$select publish_walk('note')$$, 'PT404', null, 'a payload kind: it has no view');
select throws_ok($$select publish_walk(null)$$, 'PT404', null, 'no kind');
select throws_ok($$select publish_walks('nothing')$$, 'PT404', null, 'walks of no kind');
select is_empty('select * from publish_walks()', 'nothing was asked for');

select ok(publish_walk('article') >= now(), 'asking');
select results_eq(
  $$select w.of_kind, w.reason, w.position, w.marked, w.began_at, w.ended_at, w.message
      from publish_walks() w$$,
  $$values ('article', 'asked for', null::text, 0::bigint, null::timestamptz, null::timestamptz,
            null::text)$$, 'a walk that no drain has begun');
select lives_ok('select publish_drain(2)', 'a drain');
select results_eq(
  $$select w.position, w.marked, w.began_at >= w.requested_at, w.ended_at is null
      from publish_walks('article') w$$,
  $$values ('view:2', 2::bigint, true, true)$$, 'begins it: a page');
do $$
begin
  for i in 1..10 loop
    perform publish_drain(2);
  end loop;
end
$$;
select results_eq(
  $$select w.marked, w.position, w.ended_at >= w.began_at from publish_walks('article') w$$,
  $$values (5::bigint, null::text, true)$$, 'each drain does one, until it has ended');
select is((select s.walks from publish_status() s), 0::bigint, 'then it waits no more');
select is(publish_head(), 5::bigint, 'every key is published');
select is_empty($$select * from publish_walks('note')$$, 'of another kind there is none');

select function_privs_are('public', 'publish_walk', '{text}', 'publish_worker', '{EXECUTE}',
                          'a worker may ask');
select function_privs_are('public', 'publish_walks', '{text}', 'publish_reader', '{}',
                          'a reader may not look');

select * from finish();
rollback;
