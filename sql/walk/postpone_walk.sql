create or replace function publish.postpone_walk(kind text, most int, message text) returns void
language sql
as $$
  update publish.walk w
     set attempts = w.attempts + 1, message = postpone_walk.message,
         page = case when postpone_walk.most is null then w.page
                     else greatest(1, least(w.page, postpone_walk.most) / 2) end,
         due_at = clock_timestamp()
                  + publish.backoff(attempts => w.attempts + 1, backoff_min => '10 seconds',
                                    backoff_max => '1 hour')
   where w.walk_id = (select d.walk_id
                        from publish.walk d
                       where d.kind = postpone_walk.kind and d.due_at <= clock_timestamp()
                       order by d.due_at, d.requested_at
                       limit 1)
$$;
comment on function publish.postpone_walk(text, int, text) is
  'Has the due walk over the kind wait for its next backoff, because a page failed: of at most '
  'most keys, and then the next is half as large; null: its size is not the reason.';
revoke all on function publish.postpone_walk(text, int, text) from public;
