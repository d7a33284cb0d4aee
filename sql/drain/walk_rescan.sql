-- Called under the drain's lock, so that nothing is published while a page is chosen. A page's keys
-- become outbox rows of the drain's transaction; the walk goes on where the last committed page
-- ended. A page that fails waits, and nothing with it.
create or replace function publish.walk_rescan(batch int) returns boolean
language plpgsql
as $$
declare
  v_walk publish.rescan;
  v_batch int;
  v_page record;
begin
  select r.* into v_walk
    from publish.rescan r
   where r.next_page_at <= clock_timestamp()
   order by r.next_page_at, r.rescan_id
   limit 1;
  if not found then
    return false;
  end if;
  if v_walk.after is null and v_walk.published_after is null then
    -- What was asked for before this walk begins is done by it.
    delete from publish.rescan r where r.kind = v_walk.kind and r.rescan_id <> v_walk.rescan_id;
  end if;
  if not exists (select from publish.kind k where k.kind = v_walk.kind and k.view is not null) then
    delete from publish.rescan r where r.rescan_id = v_walk.rescan_id;
    return true; -- no view to walk; another kind may wait
  end if;
  if not publish.try_hold_tables((select to_regclass(k.view)
                                    from publish.kind k
                                   where k.kind = v_walk.kind)) then
    update publish.rescan r
       set next_page_at = clock_timestamp() + interval '5 seconds'
     where r.rescan_id = v_walk.rescan_id;
    return true; -- another kind may wait
  end if;
  v_batch := least(walk_rescan.batch, v_walk.page);
  begin
    if v_walk.published_after is null then
      select p.* into v_page
        from publish.mark_page(v_walk.kind, v_walk.after, v_batch) p;
      v_walk.after := v_page.next;
    end if;
    if v_walk.published_after is not null or v_walk.after is null then
      v_walk.published_after := publish.mark_published_page(
        v_walk.kind, coalesce(v_walk.published_after, ''), v_batch);
    end if;
  exception
    when operator_intervention or transaction_rollback or disk_full or out_of_memory
         or too_many_connections or lock_not_available then
      raise; -- a timeout: see publish.postpone_slow
    when others then
      update publish.rescan r
         set attempts = r.attempts + 1, message = sqlerrm,
             next_page_at = clock_timestamp() + publish.backoff(r.attempts + 1)
       where r.rescan_id = v_walk.rescan_id;
      return true; -- another kind may wait
  end;
  if v_walk.after is null and v_walk.published_after is null then
    delete from publish.rescan r where r.rescan_id = v_walk.rescan_id;
  else
    update publish.rescan r
       set after = v_walk.after, published_after = v_walk.published_after,
           attempts = 0, message = null
     where r.rescan_id = v_walk.rescan_id;
  end if;
  return true;
end
$$;
comment on function publish.walk_rescan(int) is
  'Marks the next page of a requested walk over a whole kind dirty: every key of the view, then '
  'every live key that is published; at most batch of each. True when it did something.';
revoke all on function publish.walk_rescan(int) from public;
