-- publish_page: the feed as JSON pages with an opaque cursor.
begin;
select plan(26);

select is(pg_get_function_arguments('publish_page'::regproc),
          'cursor text DEFAULT NULL::text, batch integer DEFAULT 500, '
          'kinds text[] DEFAULT NULL::text[]',
          'arguments and defaults');
select is(pg_get_function_result('publish_page'::regproc), 'jsonb', 'one JSON document');
select volatility_is('public', 'publish_page', 'stable', 'stable: it may run on a standby');

create function pg_temp.revs(page jsonb) returns text language sql as $$
  select string_agg(c ->> 'rev', ' ' order by n)
    from jsonb_array_elements(page -> 'changes') with ordinality as c (c, n)
$$;

create temp table empty as select publish_page() as page;
select results_eq(
  $$select e.page - 'cursor' from empty e$$,
  $$values ('{"epoch": null, "head": 0, "changes": [], "more": false, "reset": false}'::jsonb)$$,
  'a feed before its first change');

do $$
begin
  perform publish_define('note');
  perform publish_define('event');
  perform publish_enqueue('note', n::text, jsonb_build_object('n', n)) from generate_series(1, 5) n;
  perform publish_enqueue('event', 'x', '{}', headers => '{"h": 1}');
  perform publish_enqueue('note', '2', deleted => true);
  perform publish_drain();
end
$$; -- revs 1, 2 to 4 are notes 1, 3 to 5; 5 is event x; 6 is the tombstone of note 2

select is(pg_temp.revs(publish_page((select e.page ->> 'cursor' from empty e))), '1 2 3 4 5 6',
          'the cursor of the empty feed goes on');

-- page after page
create temp table one as select publish_page(batch => 2) as page;
select results_eq(
  $$select array_agg(k order by k) from one o, jsonb_object_keys(o.page) k$$,
  $$select '{changes,cursor,epoch,head,more,reset}'::text[]$$, 'what a page says');
select results_eq(
  $$select array_agg(k order by k) from one o, jsonb_object_keys(o.page -> 'changes' -> 0) k$$,
  $$select array['created_at', 'deleted', 'headers', 'kind', 'payload', 'pub_id', 'rev',
                 'schema_version', 'updated_at']$$,
  'what a change says: no source_id, no hash');
select is((select pg_temp.revs(o.page) from one o), '1 2', 'batch bounds the page');
select results_eq($$select o.page -> 'more', o.page -> 'head', o.page -> 'reset' from one o$$,
                  $$values ('true'::jsonb, '6'::jsonb, 'false'::jsonb)$$, 'there is more');
create temp table two as select publish_page((select o.page ->> 'cursor' from one o), 2) as page;
create temp table three as select publish_page((select t.page ->> 'cursor' from two t), 2) as page;
select is((select pg_temp.revs(t.page) from two t), '3 4', 'the next page');
select is((select pg_temp.revs(t.page) from three t), '5',
          'the last: the tombstone is older than this reader');
select results_eq($$select t.page -> 'more' from three t$$, $$values ('false'::jsonb)$$,
                  'is the last');

do $$
begin
  perform publish_enqueue('note', '3', deleted => true);
  perform publish_drain();
end
$$;
create temp table four as select publish_page((select t.page ->> 'cursor' from three t)) as page;
select is((select pg_temp.revs(f.page) from four f), '7',
          'a tombstone newer than the reader comes');
select is(pg_temp.revs(publish_page((select f.page ->> 'cursor' from four f))), null,
          'then nothing');
select is(publish_page((select f.page ->> 'cursor' from four f)) ->> 'cursor',
          (select f.page ->> 'cursor' from four f), 'and the cursor stays');

-- kinds
select is(pg_temp.revs(publish_page(kinds => '{event}')), '5', 'one kind');
select is(publish_page(kinds => '{event}') -> 'more', 'false',
          'has no more though the head is above');

-- a plain rev
select is(pg_temp.revs(publish_page('5')), '6 7', 'a plain rev is a cursor: what came after it');

-- reset
select results_eq(
  $$select p -> 'reset', p -> 'changes', p -> 'cursor', p ? 'reason' from publish_page('8') p$$,
  $$values ('true'::jsonb, '[]'::jsonb, 'null'::jsonb, true)$$,
  'a rev above the head: begin again');
select is(
  (select publish_page(regexp_replace(o.page ->> 'cursor', '[0-9a-f]{32}', repeat('0', 32)))
     from one o) -> 'reset', 'true', 'a cursor of an epoch that was never here: begin again');
insert into publish.floor (kind, floor, pruned) values ('note', 7, 1);
select is(publish_page((select o.page ->> 'cursor' from one o)) -> 'reset', 'true',
          'a cursor from before what was pruned: begin again');
select is(publish_page((select o.page ->> 'cursor' from one o), kinds => '{event}') -> 'reset',
          'false', 'unless it was of a kind that this reader does not read');

-- refused
select throws_ok($$select publish_page('')$$, 'PT400', null, 'an empty cursor');
select throws_ok($$select publish_page('1.0.5')$$, 'PT400', null, 'a part too few');
select throws_ok($$select publish_page(batch => 0)$$, 'PT400', null, 'batch 0');
select throws_ok($$select publish_page(kinds => '{nothing}')$$, 'PT404', null,
                 'a kind that is not defined');

select * from finish();
rollback;
