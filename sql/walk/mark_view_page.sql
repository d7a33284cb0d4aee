-- With ties: keys that are equal, though spelled otherwise, would be stepped over by the next page.
create or replace function publish.mark_view_page(
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
  perform publish.check_batch(mark_view_page.batch);
  v_page := array(
    select t.text
      from publish.read_texts(
        query => format('select %s %s fetch first $2 rows with ties',
                        publish.source_id_sql(mark_view_page.kind),
                        publish.page_sql(mark_view_page.kind, mark_view_page.after)),
        most => mark_view_page.batch) as t (text));
  mark_view_page.marked := publish.append_marks(kind => mark_view_page.kind, keys => v_page);
  if cardinality(v_page) >= mark_view_page.batch then
    mark_view_page.next := v_page[cardinality(v_page)];
  end if;
end
$$;
comment on function publish.mark_view_page(text, text, int) is
  'Marks the view''s next batch of keys above "after", in key order, and those equal to the '
  'last. next: the last one, or null at the end. Errors: PT404 not a projected kind, PT400 bad '
  'batch or after, those of the view.';
revoke all on function publish.mark_view_page(text, text, int) from public;
