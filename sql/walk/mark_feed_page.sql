create or replace function publish.mark_feed_page(
  kind text,
  after text,
  batch int,
  out next text,
  out marked int
)
language plpgsql
as $$
declare
  v_page text[];
begin
  v_page := array(
    select p.source_id
      from publish.published p
     where (p.kind, p.source_id) > (mark_feed_page.kind, mark_feed_page.after)
       and p.kind <= mark_feed_page.kind and not p.deleted
     order by p.kind, p.source_id, p.rev desc
     limit mark_feed_page.batch);
  mark_feed_page.marked := publish.append_marks(
    kind => mark_feed_page.kind,
    keys => array(
      select u.source_id from unnest(v_page) as u (source_id)
      except
      select v.source_id
        from publish.keys_in_view(mark_feed_page.kind, v_page) as v (source_id)));
  if cardinality(v_page) = mark_feed_page.batch then
    mark_feed_page.next := v_page[mark_feed_page.batch];
  end if;
end
$$;
comment on function publish.mark_feed_page(text, text, int) is
  'Of the next batch of live published keys above source_id "after", marks those that the view '
  'does not show. next: the last one, or null at the end. Errors: those of the view.';
revoke all on function publish.mark_feed_page(text, text, int) from public;
