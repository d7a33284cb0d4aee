-- One page is one transaction's work: nothing is remembered between calls but "next".
create or replace function public.publish_backfill(
  kind text,
  after text default null,
  batch int default 1000,
  out next text,
  out marked int
)
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select p.next, p.marked
    from publish.mark_page(publish_backfill.kind, publish_backfill.after,
                           publish_backfill.batch) p
$$;
comment on function public.publish_backfill(text, text, int) is
  'Marks the view''s next batch of keys above "after" dirty, in key order. Returns how many, and '
  'where to go on: pass next as after, until it is null. Errors: PT404 not a projected kind, '
  'PT400 bad batch or after.';
revoke all on function public.publish_backfill(text, text, int) from public;
grant execute on function public.publish_backfill(text, text, int)
  to publish_worker, publish_admin;
