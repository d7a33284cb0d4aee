-- All requests of the kind wait: each would come to the same page. Of those that have not begun one
-- is enough; there may be thousands, one of each row of a statement.
create or replace function publish.postpone_walk(kind text, most int, message text) returns void
language plpgsql
as $$
declare
  v_walk publish.walk;
begin
  select w.* into v_walk
    from publish.walk w
   where w.kind = postpone_walk.kind and w.due_at <= clock_timestamp()
   order by w.due_at, w.requested_at
   limit 1;
  if not found then
    return; -- it was ended, or has to wait, since the page failed
  end if;
  delete from publish.walk w
   where w.kind = postpone_walk.kind and w.walk_id <> v_walk.walk_id and w.position is null
     and (v_walk.position is null
          or w.walk_id <> (select n.walk_id
                             from publish.walk n
                            where n.kind = postpone_walk.kind and n.walk_id <> v_walk.walk_id
                              and n.position is null
                            order by n.requested_at, n.walk_id
                            limit 1));
  update publish.walk w
     set attempts = v_walk.attempts + 1, message = postpone_walk.message,
         page = case when postpone_walk.most is null then w.page
                     else greatest(1, least(w.page, postpone_walk.most) / 2) end,
         due_at = clock_timestamp()
                  + publish.backoff(attempts => v_walk.attempts + 1, backoff_min => '10 seconds',
                                    backoff_max => '1 hour')
   where w.kind = postpone_walk.kind;
end
$$;
comment on function publish.postpone_walk(text, int, text) is
  'Has the walks over the kind wait for the next backoff, because a page failed: of at most '
  'most keys, and then the next is half as large; null: its size is not the reason.';
revoke all on function publish.postpone_walk(text, int, text) from public;
