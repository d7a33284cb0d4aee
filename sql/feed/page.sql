-- One call, one snapshot, one JSON document of at most about 32 MB of
-- payload.
create or replace function publish.page(reading publish.reading, cursor text, batch int)
returns jsonb
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_shown text[] := publish.shown_keys();
  v_page record;
  v_changes jsonb;
  v_last bigint;
  v_full boolean;
begin
  select p.* into v_page
    from publish.begin_page(reading => page.reading, cursor => page.cursor, batch => page.batch) p;
  if v_page.broken is not null then
    return jsonb_build_object('epoch', v_page.epoch, 'cursor', null, 'head', v_page.head,
                              'changes', '[]'::jsonb, 'more', true, 'reset', true,
                              'reason', v_page.broken);
  end if;
  select coalesce(jsonb_agg(c.change order by c.rev) filter (where c.fits), '[]'),
         max(c.rev) filter (where c.fits),
         count(*) >= page.batch or not bool_and(c.fits)
    into v_changes, v_last, v_full
    from (
      select p.rev, publish.shown(p, v_shown) as change,
             row_number() over w = 1
             or sum(case when p.payload is null then 0
                         else greatest(octet_length(p.payload::text),
                                       publish.size_of(p.payload)) end) over w
                <= 32 * 1024 * 1024 as fits
        from publish.changes(reading => page.reading, since => v_page.since,
                             base => v_page.base, batch => page.batch) p
      window w as (order by p.rev rows unbounded preceding)
    ) c;
  v_page.since := case when v_full then v_last else v_page.head end;
  return jsonb_build_object(
    'epoch', v_page.epoch,
    'cursor', publish.format_cursor(epoch => v_page.epoch, base => v_page.base,
                                    since => v_page.since,
                                    rights => (page.reading).rights),
    'head', v_page.head,
    'changes', v_changes,
    'more', v_page.since < v_page.head,
    'reset', false);
end
$$;
comment on function publish.page(publish.reading, text, int) is
  'The page of publish_page, for any reading.';
revoke all on function publish.page(publish.reading, text, int) from public;
