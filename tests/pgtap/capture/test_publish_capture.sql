-- publish_capture: its surface, what it writes down and attaches, and what each trigger marks.
begin;
select plan(48);

select function_returns('public', 'publish_capture',
  array['text', 'regclass', 'text', 'text[]', 'boolean', 'text'], 'void', 'returns nothing');
select is(pg_get_function_arguments('publish_capture'::regproc),
          'kind text, source regclass, key text DEFAULT NULL::text, '
          'columns text[] DEFAULT NULL::text[], always boolean DEFAULT false, '
          'lookup text DEFAULT NULL::text',
          'everything but kind and table may be left out');
select is(has_function_privilege('publish_' || r.name,
                                 'publish_capture(text,regclass,text,text[],boolean,text)',
                                 'execute'),
          r.name in ('admin', 'owner'), format('publish_%s may capture: %s', r.name,
                                               r.name in ('admin', 'owner')))
  from unnest(array['admin', 'owner', 'worker', 'writer', 'reader']) as r (name);
select isnt_empty($$select obj_description('publish_capture'::regproc)$$, 'it is documented');

create table question (id int primary key, lang text, title text, note text);
create table answer (id int primary key, question_id int, body text);
create table country (code text primary key, name text);
create table part (id int primary key, region text) partition by hash (id);
create table part_1 partition of part for values with (modulus 1, remainder 0);
create view question_view as select q.id, q.lang, q.title from question q;
create view part_view as select p.id, p.region from part p;
do $$
begin
  perform publish_define('question', 'question_view');
  perform publish_define('pair', 'question_view', '{id,lang}');
  perform publish_define('part', 'part_view');
  perform publish_define('note');
end
$$;
create function pg_temp.marked() returns setof text language sql as $$
  with gone as (delete from publish.outbox o returning o.*)
  select concat_ws(' ', g.kind, m.key)
    from gone g cross join lateral unnest(g.source_ids) as m (key)
$$;
create function pg_temp.triggers(source regclass) returns text language sql as $$
  select string_agg(concat_ws(' ', regexp_replace(t.tgname, '\d+', 'N'),
                              case when t.tgtype & 1 = 1 then 'row' else 'statement' end,
                              t.tgenabled), ', ' order by t.tgname)
    from pg_trigger t where t.tgrelid = triggers.source and t.tgname like 'publish%'
$$;

select lives_ok($$select publish_capture('question', 'question')$$, 'a kind and its table suffice');
select results_eq(
  $$select c.kind, c.source, c.key, c.for_key, c.lookup, c.columns, c.always, c.by_row, c.plain,
           c.pinned from publish.capture c$$,
  $$values ('question', 'public.question', 'id', '{id}'::text[], null::text, null::text[], false,
            false, true, false)$$,
  'publish.capture says what was captured');
select is(pg_temp.triggers('question'),
          'publish_N_delete statement O, publish_N_insert statement O, '
          'publish_N_truncate statement O, publish_N_update statement O',
          'a plain table gets statement triggers');
select is((select count(*) from pg_proc p where p.proname ~ '^capture_\d+'
              and (p.pronamespace <> 'publish_gate'::regnamespace
                   or p.proowner <> 'publish_owner'::regrole)), 0::bigint,
          'its functions are in publish_gate and belong to publish_owner');
select is((select p.prosecdef and p.proconfig is null
             from pg_proc p, publish.capture c
            where p.proname = format('capture_%s', c.capture_id)),
          true, 'the trigger function is a definer that sets nothing');
select is((select count(*) from pg_proc p
            where p.proname ~ '^capture_\d+' and obj_description(p.oid) is null), 0::bigint,
          'and all have a comment');
select ok(has_function_privilege('public', format('publish_gate.capture_%s()', c.capture_id),
                                 'execute'),
          'anybody may execute it, so that the owner of the table may attach partitions')
  from publish.capture c;
select ok(not has_schema_privilege('public', 'publish_gate', 'usage'),
          'but nobody may name it');

insert into question values (1, 'en', 'one'), (2, 'en', 'two');
select bag_eq('select pg_temp.marked()', $$values ('question 1'), ('question 2')$$, 'insert');
update question set note = 'x' where id = 1;
select bag_eq('select pg_temp.marked()', $$values ('question 1')$$, 'update');
update question set id = 3 where id = 2;
select bag_eq('select pg_temp.marked()', $$values ('question 2'), ('question 3')$$,
              'update of the key: the old and the new one');
delete from question where id = 3;
select bag_eq('select pg_temp.marked()', $$values ('question 3')$$, 'delete');
delete from question where false;
select is_empty('select pg_temp.marked()', 'a statement that touches no row marks nothing');
truncate question;
select is_empty('select pg_temp.marked()', 'truncate marks no key');
select results_eq('delete from publish.walk returning kind', $$values ('question')$$,
                  'but asks for a walk');

do $$ begin perform publish_capture('pair', 'question', columns => '{title}'); end $$;
insert into question values (1, 'en', 'one');
select bag_eq('select pg_temp.marked()', $$values ('question 1'), ('pair ["1", "en"]')$$,
              'two kinds on one table, one with a composite key');
update question set note = 'x';
select bag_eq('select pg_temp.marked()', $$values ('question 1')$$, 'columns: another one changed');
update question set title = 'uno';
select bag_eq('select pg_temp.marked()', $$values ('question 1'), ('pair ["1", "en"]')$$,
              'columns: this one changed');

do $$ begin perform publish_capture('question', 'answer', key => 'question_id'); end $$;
insert into answer values (10, 1), (11, 2), (12, null);
select bag_eq('select pg_temp.marked()', $$values ('question 1'), ('question 2')$$,
              'key: a child marks its parent, if it has one');
update answer set question_id = 7 where id = 10;
select bag_eq('select pg_temp.marked()', $$values ('question 1'), ('question 7')$$,
              'a child that moves marks both');

do $$
begin
  perform publish_capture('question', 'country',
                          lookup => 'select id from question where lang = any ($1)');
end
$$;
insert into country values ('en', 'England'), ('fr', 'France');
select results_eq(
  $$select (select array_agg(k order by k) from unnest(o.source_ids) as k),
           o.lookup_id = (select c.capture_id from publish.capture c where c.lookup is not null)
      from publish.outbox o$$,
  $$values ('{en,fr}'::text[], true)$$, 'lookup: the row waits for the drain to look it up');
delete from publish.outbox;

do $$ begin perform publish_capture('question', 'answer', 'question_id', always => true); end $$;
select is(pg_temp.triggers('answer'),
          'publish_N_delete row A, publish_N_insert row A, publish_N_truncate statement A, '
          'publish_N_update row A', 'always: row triggers that fire always');
do $$ begin perform publish_capture('question', 'answer', 'question_id'); end $$;
select is(pg_temp.triggers('answer'),
          'publish_N_delete statement O, publish_N_insert statement O, '
          'publish_N_truncate statement O, publish_N_update statement O', 'and back');
select is((select count(*) from publish.capture c where c.source = 'public.answer'), 1::bigint,
          'it is captured once');

do $$ begin perform publish_capture('question', 'answer', 'question_id + 0'); end $$;
select is((select p.prosecdef and p.proowner = 'publish_projector'::regrole
                  and p.proconfig @> '{"search_path=pg_catalog, pg_temp",row_security=off}'
             from pg_proc p, publish.capture c
            where c.key = 'question_id + 0' and p.proname = format('capture_%s', c.capture_id)),
          true, 'a key that is an expression runs as publish_projector');
do $$ begin perform publish_capture('question', 'answer', 'question_id'); end $$;
select is((select p.proowner from pg_proc p, publish.capture c
            where c.source = 'public.answer' and p.proname = format('capture_%s', c.capture_id)),
          'publish_owner'::regrole::oid, 'and one that is a column as publish_owner again');

do $$ begin perform publish_capture('part', 'part'); end $$;
select is(pg_temp.triggers('part_1'),
          'publish_N_delete row O, publish_N_insert row O, publish_N_truncate statement O, '
          'publish_N_update row O', 'a partition gets row triggers');
insert into part_1 values (1, 'x');
select bag_eq('select pg_temp.marked()', $$values ('part 1')$$, 'which mark what goes to it');

select throws_ok($$select publish_capture('undefined', 'question')$$, 'PT404', null,
                 'an unknown kind');
select throws_ok($$select publish_capture('note', 'question')$$, 'PT404', null, 'a payload kind');
select throws_ok($$select publish_capture('question', 'question_view')$$, 'PT400', null, 'a view');
select throws_ok($$select publish_capture('question', 'answer')$$, 'PT400', null,
                 'a table that does not show the key');
select throws_ok($$select publish_capture('question', 'answer', 'no_such')$$, 'PT400', null,
                 'a key that is no SQL');
select throws_ok($$select publish_capture('pair', 'answer', 'question_id')$$, 'PT400', null,
                 'a key with a part too few');
select throws_ok($$select publish_capture('question', 'answer', '(select 1 from question)')$$,
                 'PT400', null, 'a key that reads another table');
select throws_ok($$select publish_capture('question', 'answer', 'to_jsonb(answer) ->> ''id''')$$,
                 'PT400', null, 'a key of the whole row');
select throws_ok($$select publish_capture('question', 'answer', 'id', '{no_such}')$$, 'PT400',
                 null, 'a column that is not there');
select throws_ok($$select publish_capture('question', 'answer', lookup => 'select')$$, 'PT400',
                 null, 'a lookup that shows no key');
select throws_ok($$select publish_capture('question', 'answer', 'id; select 1')$$, 'PT400', null,
                 'a second statement');
select is((select count(*) from publish.capture), 5::bigint,
          'and nothing of these is written down');

select * from finish();
rollback;
