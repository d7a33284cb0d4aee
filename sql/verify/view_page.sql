create or replace function publish.view_page(kind text, after text, batch int)
returns publish.mark[]
language sql
stable
as $$
  select array(
    select row(view_page.kind, r.id, r.n, null, null, false, null, null, null)::publish.mark
      from publish.read_texts(
        query => format('select %s %s fetch first $2 rows with ties',
                        publish.source_id_sql(view_page.kind),
                        publish.page_sql(kind => view_page.kind, after => view_page.after)),
        most => view_page.batch) with ordinality as r (id, n)
     order by r.n)
$$;
comment on function publish.view_page(text, text, int) is
  'The next batch of rows of the kind''s view above the key "after", in key order, and those that '
  'have the last one''s key. Errors: PT400 after is not a key of the kind; those of the view.';
revoke all on function publish.view_page(text, text, int) from public;
