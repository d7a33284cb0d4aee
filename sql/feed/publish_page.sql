-- For viewers over HTTP: one call, one snapshot, one JSON document of at most about 32 MB of
-- payload.
create or replace function public.publish_page(
  cursor text default null,
  batch int default 500,
  kinds text[] default null
) returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_cursor record;
  v_state record;
  v_changes jsonb;
  v_last bigint;
  v_full boolean;
begin
  select c.* into v_cursor from publish.parse_cursor(publish_page.cursor) c;
  perform publish.check_page(since => v_cursor.since, batch => publish_page.batch,
                             base => v_cursor.base, kinds => publish_page.kinds);
  select s.* into v_state
    from publish.cursor_state(since => v_cursor.since, base => v_cursor.base,
                              epoch => v_cursor.epoch, kinds => publish_page.kinds) s;
  if v_state.broken is not null then
    return jsonb_build_object('epoch', v_state.current_epoch, 'cursor', null, 'head', v_state.head,
                              'changes', '[]'::jsonb, 'more', true, 'reset', true,
                              'reason', v_state.broken);
  end if;
  -- Who begins needs no tombstone of before; who has read to a rev needs every later one.
  v_cursor.base := coalesce(v_cursor.base, nullif(v_cursor.since, 0), v_state.head);

  select coalesce(jsonb_agg(c.change order by c.rev) filter (where c.fits), '[]'),
         max(c.rev) filter (where c.fits),
         count(*) >= publish_page.batch or not bool_and(c.fits)
    into v_changes, v_last, v_full
    from (
      select p.rev, to_jsonb(p) - 'payload_hash' as change,
             row_number() over w = 1
             or sum(case when p.payload is null then 0
                         else greatest(octet_length(p.payload::text),
                                       publish.size_of(p.payload)) end) over w
                <= 32 * 1024 * 1024 as fits
        from public.publish_changes(
               since => v_cursor.since, batch => publish_page.batch, kinds => publish_page.kinds,
               base => v_cursor.base, epoch => v_cursor.epoch) p
      window w as (order by p.rev rows unbounded preceding)
    ) c;
  v_cursor.since := case when v_full then v_last else v_state.head end;
  return jsonb_build_object(
    'epoch', v_state.current_epoch,
    'cursor', publish.format_cursor(epoch => v_state.current_epoch, base => v_cursor.base,
                                    since => v_cursor.since),
    'head', v_state.head,
    'changes', v_changes,
    'more', v_cursor.since < v_state.head,
    'reset', false);
end
$$;
comment on function public.publish_page(text, int, text[]) is
  'One page of the feed as JSON: epoch, cursor (pass it to the next call; null begins, and a plain '
  'rev goes on after it), head, changes (at most batch), more (there is another page now), reset. '
  'reset = true: the cursor cannot be continued, "reason" says why; drop what was read and begin '
  'with a null cursor. Errors: PT400 broken cursor or bad argument, PT404 kind not defined.';
revoke all on function public.publish_page(text, int, text[]) from public;
grant execute on function public.publish_page(text, int, text[])
  to publish_reader, publish_worker, publish_admin;
