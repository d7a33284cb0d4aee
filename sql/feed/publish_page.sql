create or replace function public.publish_page(
  cursor text default null,
  batch int default 500,
  kinds text[] default null
) returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
  select publish.page(
    reading => publish.narrow(publish.callers_reading(), publish_page.kinds),
    cursor => publish_page.cursor, batch => publish_page.batch)
$$;
comment on function public.publish_page(text, int, text[]) is
  'One page of the feed as JSON: epoch, cursor (pass it to the next call; null begins, and a plain '
  'rev goes on after it), head, changes (at most batch), more (there is another page now), reset. '
  'reset = true: the cursor cannot be continued, "reason" says why; drop what was read and begin '
  'with a null cursor. kinds: null for all that the caller may read. Changes of kinds that show it '
  'have "key". Errors: PT400 broken cursor or bad argument, PT403 a kind that the caller may not '
  'read, PT404 kind not defined.';
revoke all on function public.publish_page(text, int, text[]) from public;
grant execute on function public.publish_page(text, int, text[])
  to publish_reader, publish_worker, publish_admin;
