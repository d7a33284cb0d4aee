create or replace function publish.mark_published_page(
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
     where p.kind = mark_published_page.kind and p.source_id > mark_published_page.after
       and not p.deleted
     order by p.source_id
     limit mark_published_page.batch);
  mark_published_page.marked := publish.mark(mark_published_page.kind, v_page);
  if cardinality(v_page) = mark_published_page.batch then
    mark_published_page.next := v_page[mark_published_page.batch];
  end if;
end
$$;
comment on function publish.mark_published_page(text, text, int) is
  'Marks the next batch of live published keys above source_id "after" dirty; next is the last '
  'one, or null at the end.';
revoke all on function publish.mark_published_page(text, text, int) from public;
