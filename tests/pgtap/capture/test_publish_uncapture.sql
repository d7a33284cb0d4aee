-- publish_uncapture: what it removes, what stays, and what it refuses.
begin;
select plan(19);

select function_returns('public', 'publish_uncapture', array['text', 'text'], 'integer',
                        'returns how many');
select is(has_function_privilege('publish_' || r.name, 'publish_uncapture(text,text)', 'execute'),
          r.name in ('admin', 'owner'), format('publish_%s may uncapture: %s', r.name,
                                               r.name in ('admin', 'owner')))
  from unnest(array['admin', 'owner', 'worker', 'writer', 'reader']) as r (name);

create table question (id int primary key);
create table answer (id int primary key, question_id int);
create table part (id int primary key) partition by hash (id);
create table part_1 partition of part for values with (modulus 1, remainder 0);
do $$
begin
  perform publish_define('question', 'question');
  perform publish_define('other', 'question');
  perform publish_capture('question', 'question');
  perform publish_capture('question', 'answer', 'question_id', '{question_id}');
  perform publish_capture('question', 'part', 'id');
  perform publish_capture('other', 'question');
  perform publish_define('note');
end
$$;
create function pg_temp.left_of(source regclass) returns bigint language sql as $$
  select count(*) from pg_trigger t where t.tgrelid = left_of.source and t.tgname like 'publish%'
$$;

insert into question values (1);
select is(publish_uncapture('question', 'question'), 1, 'one table of one kind');
select is(pg_temp.left_of('question'), 4::bigint, 'the other kind still captures it');
insert into question values (2);
select bag_eq('select o.kind, o.source_ids from publish.outbox o',
              $$values ('question', '{1}'::text[]), ('other', '{1}'), ('other', '{2}')$$,
              'and marks; what was marked before stays');
select is(publish_uncapture('question'), 2, 'all tables of one kind');
select is(pg_temp.left_of('answer') + pg_temp.left_of('part') + pg_temp.left_of('part_1'),
          0::bigint, 'no trigger is left, on no partition');
select is(publish_uncapture('question'), 0, 'none is left');
select is(publish_uncapture('note'), 0, 'a payload kind has none');
select is(publish_uncapture('other'), 1, 'the last one');
select is((select count(*) from pg_proc p
            where p.proname ~ '^capture_\d'),
          0::bigint, 'and all functions are gone');

select throws_ok($$select publish_uncapture('question', 'answer')$$, 'PT404', null,
                 'a table that is not captured');
select throws_ok($$select publish_uncapture('question', 'no_such')$$, 'PT404', null,
                 'a table that is not there');
select throws_ok($$select publish_uncapture('undefined')$$, 'PT404', null, 'an unknown kind');
select throws_ok($$select publish_uncapture(null)$$, 'PT404', null, 'no kind');

select * from finish();
rollback;
