-- Called under the drain's lock, so that nothing is published while a page is chosen. A page's keys
-- become outbox rows of the drain's transaction, for the drain after this: one that times out must
-- not take the page back. A page that fails waits, and nothing with it. A walk that the drain
-- itself asked for is not due before it ends, for the same reason.
create or replace function publish.walk_page(batch int, due timestamptz) returns int
language plpgsql
as $$
declare
  v_walk publish.walk;
  v_next publish.walk;
  v_seen int := 0;
  v_began timestamptz;
begin
  while v_seen = 0 loop
    v_walk := null;
    v_began := clock_timestamp();
    begin
      v_walk := publish.next_walk(walk_page.due);
      exit when v_walk.walk_id is null;
      perform publish.attempt(
        kind_no => (select k.kind_no from publish.kind k where k.kind = v_walk.kind), phase => 2);
      v_next := publish.step_walk(walk => v_walk, batch => walk_page.batch);
    exception
      when query_canceled then
        if not publish.timed_out() then
          raise;
        end if;
        perform setval('publish.attempt', 0);
        perform publish.postpone_walk(kind => v_walk.kind, most => walk_page.batch,
                                      message => 'a page ran into statement_timeout');
        return 1;
      when others then
        if v_walk.walk_id is null
           or publish.is_transient(sqlstate) and sqlstate <> '55P03' then
          raise;
        end if;
        perform setval('publish.attempt', 0);
        perform publish.postpone_walk(kind => v_walk.kind, most => null, message => sqlerrm);
        continue;
    end;
    perform setval('publish.attempt', 0);
    v_seen := greatest(v_next.marked - v_walk.marked, 1);
    if v_next.position is null then
      perform publish.end_walk(v_next);
    else
      update publish.walk w
         set position = v_next.position, marked = v_next.marked, estimate = v_next.estimate,
             began_at = v_next.began_at, digest = v_next.digest, attempts = 0, message = null,
             page = case when v_walk.page <= walk_page.batch
                         then publish.next_size(last => v_walk.page, batch => 1000000,
                                                took => clock_timestamp() - v_began)
                         else v_walk.page end
       where w.walk_id = v_walk.walk_id;
    end if;
  end loop;
  return v_seen;
end
$$;
comment on function publish.walk_page(int, timestamptz) is
  'Marks the next page of a walk that was due then: at most batch keys. Returns how many, at least '
  '1; 0 when there is no walk.';
revoke all on function publish.walk_page(int, timestamptz) from public;
