-- The order is one that a single index has, with the kind in it: no plan can read another one.
create or replace function publish.feed_page(kind text, after text, batch int)
returns publish.mark[]
language sql
stable
as $$
  select array(
    select row(q.kind, q.source_id, null, null, null, q.deleted, null, null, null)::publish.mark
      from (select p.kind, p.source_id, p.deleted
              from publish.published p
             where (p.kind, p.source_id) > (feed_page.kind, feed_page.after)
             order by p.kind, p.source_id
             fetch first (feed_page.batch) rows with ties) q
     where q.kind = feed_page.kind
     order by q.source_id)
$$;
comment on function publish.feed_page(text, text, int) is
  'The next batch of published rows of the kind above the source_id "after", and those that have '
  'the last one''s.';
revoke all on function publish.feed_page(text, text, int) from public;
