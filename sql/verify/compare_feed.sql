create or replace function publish.compare_feed(kind text, page publish.mark[])
returns table (source_id text, problem text)
language sql
stable
as $$
  with key as (
    select m.source_id, count(*) as rows, bool_or(not m.deleted) as is_live
      from unnest(compare_feed.page) m
     group by m.source_id
  ),
  shown as materialized (
    select s.source_id
      from publish.keys_in_view(
        compare_feed.kind, array(select k.source_id from key k where k.is_live)) as s (source_id)
  )
  select k.source_id, 'duplicate'
    from key k
   where k.rows > 1
  union all
  select k.source_id, 'surplus'
    from key k
   where k.rows = 1 and k.is_live
     and not exists (select from shown s where s.source_id = k.source_id)
$$;
comment on function publish.compare_feed(text, publish.mark[]) is
  'What differs between a page of the feed and the view: the keys that are surplus or duplicate, '
  'each with its problem.';
revoke all on function publish.compare_feed(text, publish.mark[]) from public;
