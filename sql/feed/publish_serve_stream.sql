create or replace function public.publish_serve_stream(
  role name,
  scope text default null,
  cursor text default null,
  batch int default 500,
  kinds text[] default null
) returns table (start text, next text, upto bigint, more boolean, reason text, changes text[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
rows 1
as $$
  select coalesce(publish_serve_stream.cursor,
                  regexp_replace(p.page ->> 'cursor', '^(([^.]+[.]){3})[0-9]+', E'\\10')),
         p.page ->> 'cursor', (select c.since from publish.parse_cursor(p.page ->> 'cursor') c),
         (p.page -> 'more')::boolean, p.page ->> 'reason',
         array(select c.change::text
                 from jsonb_array_elements(p.page -> 'changes') with ordinality as c (change, n)
                order by c.n)
    from public.publish_serve_page(
           role => publish_serve_stream.role, scope => publish_serve_stream.scope,
           cursor => publish_serve_stream.cursor, batch => publish_serve_stream.batch,
           kinds => publish_serve_stream.kinds) as p (page)
$$;
comment on function public.publish_serve_stream(name, text, text, int, text[]) is
  'publish_serve_page for a stream: each change is a JSON text of its own. start: where this page '
  'begins, to begin it again as the same reader. next: where the following page begins, and upto '
  'its rev. reason: why the cursor cannot be continued; null if it can. Errors: as publish_page.';
revoke all on function public.publish_serve_stream(name, text, text, int, text[]) from public;
grant execute on function public.publish_serve_stream(name, text, text, int, text[])
  to publish_server, publish_admin;
