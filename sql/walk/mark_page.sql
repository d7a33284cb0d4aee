-- The view is planned as anywhere else, whatever the drain pinned.
create or replace function publish.mark_page(
  kind text,
  after text,
  batch int,
  out next text,
  out marked int
)
language plpgsql
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set enable_seqscan = on
set enable_bitmapscan = on
set enable_hashjoin = on
set enable_mergejoin = on
as $$
declare
  v_sql record;
  v_page text[];
begin
  perform publish.check_batch(mark_page.batch);
  select p.* into v_sql from publish.page_sql(mark_page.kind, mark_page.after) p;
  execute format('select array(select %s %s limit $1)', v_sql.source_id, v_sql.page)
     into v_page
    using mark_page.batch;
  mark_page.marked := publish.mark(mark_page.kind, v_page);
  if cardinality(v_page) = mark_page.batch then
    mark_page.next := v_page[mark_page.batch];
  end if;
end
$$;
comment on function publish.mark_page(text, text, int) is
  'Marks the view''s next batch of keys above "after" dirty, for publish_backfill, which documents '
  'it, and for the drain''s walks.';
revoke all on function publish.mark_page(text, text, int) from public;
