-- publish_define: what can be published, and what is refused.
begin;
select plan(37);

select is(
  pg_get_function_arguments('publish_define'::regproc),
  'kind text, view regclass DEFAULT NULL::regclass, key text[] DEFAULT NULL::text[], '
  'schema_version integer DEFAULT 1, validator regprocedure DEFAULT NULL::regprocedure, '
  'retention interval DEFAULT NULL::interval, scope text DEFAULT NULL::text, '
  'show_key boolean DEFAULT NULL::boolean',
  'arguments and defaults');
select is(pg_get_function_result('publish_define'::regproc), 'void', 'returns nothing');
select isnt_definer('public', 'publish_define',
                    'runs as its caller, who must have the right to grant on the view');

create schema app;
create table app.article (id int primary key, lang text, title text);
create view app.shown as select a.* from app.article a;
create view app."odd ""view" as select a.id as "the id" from app.article a;
create function app.has_title(payload jsonb) returns boolean return payload ? 'title';
create function app.not_a_validator(payload jsonb) returns text return 'x';

-- a payload kind
select lives_ok($$select publish_define('note')$$, 'a name is enough for a payload kind');
select results_eq(
  $$select k.view, k.key, k.schema_version, k.validator, k.retention
      from publish.kind k where k.kind = 'note'$$,
  $$values (null::text, null::text[], 1, null::text, null::interval)$$,
  'a payload kind has neither view nor key');
select lives_ok(
  $$select publish_define('event', schema_version => 3, validator => 'app.has_title(jsonb)',
                          retention => '7 days')$$,
  'validator and retention by name');
select results_eq(
  $$select k.schema_version, k.validator, k.retention from publish.kind k where k.kind = 'event'$$,
  $$values (3, 'app.has_title', interval '7 days')$$,
  'what was given is what is kept');

-- a projected kind
select lives_ok($$select publish_define('article', 'app.shown')$$, 'a view makes a projected kind');
select results_eq(
  $$select k.view, k.key from publish.kind k where k.kind = 'article'$$,
  $$values ('app.shown', '{id}'::text[])$$,
  'its key is the column id unless another is named');
select ok(has_schema_privilege('publish_owner', 'app', 'usage'),
          'publish_owner may look into the view''s schema now');
select ok(has_table_privilege('publish_owner', 'app.shown', 'select'),
          'publish_owner may read the view now');
select ok(not has_table_privilege('publish_owner', 'app.article', 'select'),
          'publish_owner may not read the table behind it');
select lives_ok($$select publish_define('pair', 'app.shown', '{id,lang}')$$,
                'a key of two columns');
select lives_ok($$select publish_define('quoted', 'app."odd ""view"', '{the id}')$$,
                'names that need quotes');
select is((select k.view from publish.kind k where k.kind = 'quoted'), 'app."odd ""view"',
          'the view''s name is kept quoted');
select lives_ok($$select publish_define('it''s "новый" 新しい kind')$$,
                'a kind named with quotes and unicode');
select lives_ok($$select publish_define(repeat('k', 200))$$, 'a name of 200 bytes');

-- again
insert into app.article values (1, 'en', 'one'), (2, 'en', 'two');
select lives_ok($$select publish_define('article', 'app.shown')$$, 'the same definition again');
select is_empty($$select from publish.outbox o where o.kind = 'article'$$,
                'the same definition again marks nothing dirty');
select lives_ok($$select publish_define('article', 'app.shown', schema_version => 2)$$,
                'a new schema_version');
select results_eq($$select w.kind from publish.walk w$$, $$values ('article')$$,
                  'a new schema_version asks the drain to walk the kind');
select lives_ok($$select publish_define('article', 'app.shown', '{lang,id}', 2)$$, 'a new key');
do $$ begin perform publish_drain(); end $$; -- the walk's page
select lives_ok('select publish_drain()', 'the next drain walks');
select bag_eq($$select p.source_id from publish.published p where p.kind = 'article'$$,
              $$values ('["en", "1"]'), ('["en", "2"]')$$,
              'and publishes every key, spelled the new way');

-- refused
select throws_ok($$select publish_define(null)$$, 'PT400', null, 'no name');
select throws_ok($$select publish_define('')$$, 'PT400', null, 'an empty name');
select throws_ok($$select publish_define(repeat('k', 201))$$, 'PT400', null, 'a name of 201 bytes');
select throws_ok($$select publish_define('x', schema_version => 0)$$, 'PT400', null,
                 'schema_version 0');
select throws_ok($$select publish_define('x', schema_version => null)$$, 'PT400', null,
                 'schema_version null');
select throws_ok($$select publish_define('x', retention => '0')$$, 'PT400', null, 'retention 0');
select throws_ok($$select publish_define('x', validator => 'app.not_a_validator(jsonb)')$$,
                 'PT400', null, 'a validator that does not return boolean');
select throws_ok($$select publish_define('x', key => '{id}')$$, 'PT400', null,
                 'a key without a view');
select throws_ok($$select publish_define('x', 'app.shown', '{nothing}')$$, 'PT400', null,
                 'a key column that the view does not have');
select throws_ok($$select publish_define('x', 'app.shown', '{}')$$, 'PT400', null, 'an empty key');
select throws_ok($$select publish_define('x', 'app.shown', '{id,id}')$$, 'PT400', null,
                 'a key column named twice');
select throws_ok($$select publish_define('x', 'app.missing')$$, '42P01', null,
                 'a view that does not exist');
select is_empty($$select from publish.kind k where k.kind = 'x'$$,
                'what is refused leaves nothing');

select * from finish();
rollback;
