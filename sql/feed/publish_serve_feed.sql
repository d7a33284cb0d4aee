-- What one process reads once for all its streams. At most about 32 MB of text; no rev is cut.
create or replace function public.publish_serve_feed(
  cursor text default null,
  batch int default 500
) returns table (
  next text, upto bigint, more boolean, reason text,
  rev bigint, kind text, of_scope text, is_scoped boolean, is_departed boolean, change text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
rows 500
as $$
declare
  v_shown text[] := publish.shown_keys();
  v_scoped text[] := array(select k.kind from publish.kind k where k.scope is not null);
  v_page record;
begin
  select p.* into v_page
    from publish.begin_page(reading => row(null, null, v_scoped, null)::publish.reading,
                            cursor => publish_serve_feed.cursor,
                            batch => publish_serve_feed.batch) p;
  if v_page.broken is not null then
    return query
      select null, null::bigint, true, v_page.broken, null::bigint, null, null, null::boolean,
             null::boolean, null;
    return;
  end if;
  if publish_serve_feed.cursor is null then
    v_page.since := v_page.head;
  end if;
  return query
    with shown as materialized (
      select f.rev, f.cut, f.is_departed, (f.change).kind, (f.change).scope,
             publish.shown(f.change, v_shown)::text as change
        from publish.firehose(v_page.since, publish_serve_feed.batch) f
    ),
    sized as materialized (
      select s.*, rank() over w = 1
                  or sum(octet_length(s.change)) over w <= 32 * 1024 * 1024 as fits
        from shown s
      window w as (order by s.rev range unbounded preceding)
    ),
    page as (
      select case when bool_and(s.fits) is not false then coalesce(max(s.cut), v_page.head)
                  else max(s.rev) filter (where s.fits) end as last
        from sized s
    )
    select publish.format_cursor(epoch => v_page.epoch, base => p.last, since => p.last,
                                 rights => null),
           p.last, p.last < v_page.head, null, s.rev, s.kind, s.scope, s.kind = any (v_scoped),
           s.is_departed, s.change
      from page p
      left join sized s on s.fits
     order by s.rev, s.is_departed desc;
end
$$;
comment on function public.publish_serve_feed(text, int) is
  'The feed of all kinds and scopes for pgpublish serve, which sends each reader its part: of a '
  'row with is_scoped, those of of_scope and, unless is_departed, those that have no scope; of '
  'another row all who read the kind. cursor: null is the head. next: where the following page '
  'begins. reason: why the cursor cannot be continued; null if it can. At least one row; change '
  'is null where there is none. Errors: PT400 broken cursor or batch.';
revoke all on function public.publish_serve_feed(text, int) from public;
grant execute on function public.publish_serve_feed(text, int) to publish_server, publish_admin;
