-- For those who page by hand; publish_walk has the drain do it. One page is one transaction's
-- work: nothing is remembered between calls but "next".
create or replace function public.publish_backfill(
  kind text,
  after text default null,
  batch int default 1000,
  out next text,
  out marked int
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_view text := (select k.view from publish.kind k where k.kind = publish_backfill.kind);
  v_began timestamptz := clock_timestamp();
begin
  while v_view is not null and not publish.try_hold(relation => v_view, wait_ms => 100) loop
    perform publish.await_tables(v_began);
  end loop;
  select p.next, p.marked into publish_backfill.next, publish_backfill.marked
    from publish.mark_view_page(kind => publish_backfill.kind, after => publish_backfill.after,
                                batch => publish_backfill.batch) p;
end
$$;
comment on function public.publish_backfill(text, text, int) is
  'Marks the view''s next batch of keys above "after", in key order. Returns how many, and '
  'where to go on: pass next as after, until it is null. Errors: PT404 not a projected kind, '
  'PT400 bad batch or after, PT423 a table is locked for over lock_timeout, else a '
  'minute.';
revoke all on function public.publish_backfill(text, text, int) from public;
grant execute on function public.publish_backfill(text, text, int)
  to publish_worker, publish_admin;
