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
  v_key record;
  v_after text[];
  v_bound text;
  v_page text[];
begin
  if coalesce(mark_page.batch, 0) < 1 then
    raise exception 'batch must be 1 or more' using
      errcode = 'PT400',
      detail = format('batch %s', coalesce(mark_page.batch::text, 'null')),
      hint = 'Pass the number of keys to mark, such as 1000.';
  end if;
  select c.* into v_key from publish.key_columns(mark_page.kind) c;
  select string_agg(format('($1)[%s]::%s', t.n, t.type), ', ' order by t.n) into v_bound
    from unnest(v_key.types) with ordinality as t (type, n);
  if mark_page.after is not null then
    begin
      v_after := case when cardinality(v_key.refs) = 1 then array[mark_page.after]
                      else publish.key_parts(mark_page.after, v_key.columns) end;
      execute format('select %s', v_bound) using v_after;
    exception when data_exception or sqlstate 'PT422' then
      raise exception 'after is not a key of this kind' using
        errcode = 'PT400',
        detail = format('kind %L, after %L: %s', mark_page.kind,
                        left(mark_page.after, 60), sqlerrm),
        hint = 'Pass what the previous page returned as next, or nothing to begin.';
    end;
  end if;
  -- Without keys that have a null part: a page that ended with one could not say where to go on.
  execute format('select array(select %1$s from %2$s v where (%3$s) is not null %4$s'
                 ' order by %3$s limit $2)',
                 v_key.source_id, v_key.view, array_to_string(v_key.refs, ', '),
                 case when v_after is not null
                      then format('and (%s) > (%s)', array_to_string(v_key.refs, ', '), v_bound)
                 end)
     into v_page
    using v_after, mark_page.batch;
  insert into publish.outbox (kind, source_id)
  select mark_page.kind, p.source_id
    from unnest(v_page) as p (source_id)
   where octet_length(p.source_id) between 1 and 2000;
  get diagnostics mark_page.marked = row_count;
  if cardinality(v_page) = mark_page.batch then
    mark_page.next := v_page[mark_page.batch];
  end if;
end
$$;
comment on function publish.mark_page(text, text, int) is
  'Marks the view''s next batch of keys above "after" dirty, for publish_backfill, which documents '
  'it, and for the drain''s walks.';
revoke all on function publish.mark_page(text, text, int) from public;
