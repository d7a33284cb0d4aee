create or replace function publish.begin_page(
  reading publish.reading,
  cursor text,
  batch int,
  out epoch uuid,
  out base bigint,
  out since bigint,
  out head bigint,
  out broken text
)
language plpgsql
stable
as $$
declare
  v_cursor record;
begin
  select c.* into v_cursor from publish.parse_cursor(begin_page.cursor) c;
  perform publish.check_page(since => v_cursor.since, batch => begin_page.batch,
                             base => v_cursor.base);
  select s.current_epoch, s.head, s.broken
    into begin_page.epoch, begin_page.head, begin_page.broken
    from publish.cursor_state(since => v_cursor.since, base => v_cursor.base,
                              epoch => v_cursor.epoch, reading => begin_page.reading) s;
  if begin_page.broken is null and v_cursor.base is not null
     and v_cursor.rights is distinct from (begin_page.reading).rights then
    begin_page.broken := 'what this reader may read is not what it was';
  end if;
  -- Who begins needs no tombstone of before; who has read to a rev needs every later one.
  begin_page.base := coalesce(v_cursor.base, nullif(v_cursor.since, 0), begin_page.head);
  begin_page.since := v_cursor.since;
end
$$;
comment on function publish.begin_page(publish.reading, text, int) is
  'Where a page begins, and why it cannot, if so. Errors: PT400 broken cursor or batch.';
revoke all on function publish.begin_page(publish.reading, text, int) from public;
