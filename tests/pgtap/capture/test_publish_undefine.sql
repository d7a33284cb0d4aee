-- publish_undefine: deletions for what was published, no triggers left, and the way back.
begin;
select plan(10);

select function_returns('public', 'publish_undefine', array['text'], 'integer',
                        'returns how many tables were captured');
select is(has_function_privilege('publish_' || r.name, 'publish_undefine(text)', 'execute'),
          r.name in ('admin', 'owner'), format('publish_%s: %s', r.name,
                                               r.name in ('admin', 'owner')))
  from unnest(array['admin', 'owner', 'worker']) as r (name);

create table question (id int primary key, words text);
insert into question values (1, 'why'), (2, 'how');
do $$
begin
  perform publish_define('question', 'question');
  perform publish_capture('question', 'question');
  perform publish_define('note');
end
$$;
select throws_ok($$select publish_undefine('none')$$, 'PT404', null, 'an unknown kind is refused');
select is(publish_undefine('note'), 0, 'a payload kind has no tables');
select throws_ok($$select publish_enqueue('note', '1', '1')$$, 'PT400', null,
                 'and takes no more payloads');
select is(publish_undefine('question'), 1, 'it says how many tables were captured');
select is((select count(*) from pg_trigger where tgrelid = 'question'::regclass), 0::bigint,
          'no trigger is left');
select is((select reason from publish_walks('question') where ended_at is null), 'defined again',
          'a walk makes the deletions');

select * from finish();
rollback;
