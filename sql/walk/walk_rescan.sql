-- Called under the drain's lock, so that nothing is published while a page is chosen. A page's keys
-- become outbox rows of the drain's transaction; the walk goes on where the last committed page
-- ended. They are for the drain after this: one that times out must not take the page back. A page
-- that fails waits, and nothing with it; for one that times out see publish.postpone_slow. A walk
-- that the drain itself asked for is not due before it ends: a page that times out must not take
-- that back.
create or replace function publish.walk_rescan(batch int, due timestamptz) returns int
language plpgsql
as $$
declare
  v_walk publish.rescan;
  v_view text;
  v_page record;
  v_marked int;
  v_began timestamptz;
begin
  loop
    select r.* into v_walk
      from publish.rescan r
     where r.next_page_at <= walk_rescan.due
     order by r.next_page_at, r.rescan_id
     limit 1;
    exit when not found;
    if v_walk.after is null and v_walk.published_after is null then
      -- What was asked for before this walk begins is done by it.
      delete from publish.rescan r where r.kind = v_walk.kind and r.rescan_id <> v_walk.rescan_id;
    end if;
    v_view := (select k.view from publish.kind k where k.kind = v_walk.kind);
    if v_view is null then
      delete from publish.rescan r where r.rescan_id = v_walk.rescan_id;
      continue;
    end if;
    if not publish.try_hold_tables(to_regclass(v_view),
                                   (select count(*) from publish.rescan)) then
      update publish.rescan r
         set next_page_at = clock_timestamp() + interval '2 seconds'
       where r.rescan_id = v_walk.rescan_id;
      continue;
    end if;
    begin
      v_marked := 0;
      v_began := clock_timestamp();
      if v_walk.published_after is null then
        select p.* into v_page
          from publish.mark_page(v_walk.kind, v_walk.after,
                                 least(walk_rescan.batch, v_walk.page)) p;
        v_walk.after := v_page.next;
        v_marked := v_page.marked;
      end if;
      if v_walk.published_after is not null or v_walk.after is null then
        select p.* into v_page
          from publish.mark_published_page(v_walk.kind, coalesce(v_walk.published_after, ''),
                                           least(walk_rescan.batch, v_walk.page)) p;
        v_walk.published_after := v_page.next;
        v_marked := v_marked + v_page.marked;
      end if;
    exception
      when operator_intervention or transaction_rollback or disk_full or out_of_memory
           or too_many_connections or lock_not_available then
        raise;
      when others then
        update publish.rescan r
           set attempts = r.attempts + 1, message = sqlerrm,
               next_page_at = clock_timestamp() + publish.backoff(r.attempts + 1)
         where r.rescan_id = v_walk.rescan_id;
        continue;
    end;
    if v_walk.after is null and v_walk.published_after is null then
      delete from publish.rescan r where r.rescan_id = v_walk.rescan_id;
    else
      update publish.rescan r
         set after = v_walk.after, published_after = v_walk.published_after,
             attempts = 0, message = null,
             page = case
               when clock_timestamp() - v_began
                    > nullif(current_setting('statement_timeout')::interval, '0') / 8 then r.page
               when r.page <= walk_rescan.batch then r.page * 2
               else r.page end
       where r.rescan_id = v_walk.rescan_id;
    end if;
    if v_marked > 0 then
      return v_marked;
    end if;
  end loop;
  return 0;
end
$$;
comment on function publish.walk_rescan(int, timestamptz) is
  'Marks the next page of a requested walk over a whole kind dirty: every key of the view, then '
  'every live key that is published; at most batch of each. Of the walks that were due then. '
  'Returns how many, 0 when there is none.';
revoke all on function publish.walk_rescan(int, timestamptz) from public;
