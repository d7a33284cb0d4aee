-- Spelling of composite keys: key_text, key_parts and row_key agree.
begin;
select plan(14);

select is(publish.key_text('{7,en}'), '["7", "en"]', 'a JSON array of texts');
select is(publish.key_text(array['a"b', 'c,d', 'é']), '["a\"b", "c,d", "é"]', 'quoted as JSON');
select is(publish.key_text(array['7', null]), null, 'null when a part is null');

select is(publish.key_parts('["7", "en"]', '{id,lang}'), '{7,en}'::text[], 'read back');
select is(publish.key_parts('[7,"en"]', '{id,lang}'), '{7,en}'::text[],
          'numbers and other spacing are understood');
select is(publish.key_parts(publish.key_text(array['a"b', 'c,d']), '{x,y}'), array['a"b', 'c,d'],
          'whatever is written is read back');
select throws_ok($$select publish.key_parts('7', '{id,lang}')$$, 'PT422', null, 'no array');
select throws_ok($$select publish.key_parts('["7"', '{id,lang}')$$, 'PT422', null, 'broken JSON');
select throws_ok($$select publish.key_parts('["7"]', '{id,lang}')$$, 'PT422', null,
                 'a part too few');
select throws_ok($$select publish.key_parts('["7", null]', '{id,lang}')$$, 'PT422', null,
                 'a null part');

select is(publish.row_key('{7}'), '7', 'one column: its text');
select is(publish.row_key('{en,7}'), '["en", "7"]',
          'several: in the order given');
select is(publish.row_key('{null}'), null, 'null when the column is null');
select is(publish.row_key('{7,null}'), null, 'null when a part is null');

select * from finish();
rollback;
