-- The row remembers where to go on, in the transaction that marked the page; its lock has two
-- backfills of one kind share the work.
create or replace function publish.backfill_page(
  kind text,
  batch int,
  again boolean default false,
  out marked bigint,
  out page int,
  out done boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_walk publish.backfill;
  v_page record;
begin
  perform publish.key_columns(backfill_page.kind);
  insert into publish.backfill as b (kind) values (backfill_page.kind) on conflict do nothing;
  select b.* into v_walk from publish.backfill b where b.kind = backfill_page.kind for update;
  if backfill_page.again then
    v_walk.after := null;
    v_walk.marked := 0;
  end if;
  select p.next, p.marked into v_page
    from publish.mark_page(backfill_page.kind, v_walk.after, backfill_page.batch) p;
  backfill_page.page := v_page.marked;
  backfill_page.marked := v_walk.marked + v_page.marked;
  backfill_page.done := v_page.next is null;
  if backfill_page.done then
    delete from publish.backfill b where b.kind = backfill_page.kind;
  else
    update publish.backfill b
       set after = v_page.next, marked = backfill_page.marked, marked_at = clock_timestamp()
     where b.kind = backfill_page.kind;
  end if;
end
$$;
comment on function publish.backfill_page(text, int, boolean) is
  'Marks the next page of the kind''s backfill, which goes on where the last one ended, or begins '
  'again. marked: keys so far; page: of this page; done: it was the last. Errors: as '
  'publish_backfill.';
revoke all on function publish.backfill_page(text, int, boolean) from public;
grant execute on function publish.backfill_page(text, int, boolean) to publish_admin;
