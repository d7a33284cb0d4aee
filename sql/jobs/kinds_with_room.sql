-- Who starts a job of a limited kind holds the kind's row until that start is committed or undone,
-- so the count that follows, by a statement of its own, sees every other start.
create or replace function publish.kinds_with_room(kinds text[]) returns text[]
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_held text[];
begin
  v_held := array(
    select m.kind
      from publish.job_limit m
     where m.kind = any (kinds_with_room.kinds)
     order by m.kind
       for no key update skip locked);
  if v_held <> '{}' then
    perform publish.check_read_committed('a start of a limited kind', 'the lock of its limit');
  end if;
  return array(
    select k.kind
      from unnest(kinds_with_room.kinds) as k (kind)
     where coalesce((select m.max_running - case when m.kind = any (v_held) then (
                              select count(*)
                                from publish.job j
                               where j.status = 'running' and j.kind = m.kind)
                            else m.max_running end
                       from publish.job_limit m
                      where m.kind = k.kind), 1) > 0);
end
$$;
comment on function publish.kinds_with_room(text[]) is
  'Those of the kinds of which a job may be started, their rows of publish.job_limit locked to the '
  'end of the transaction. A kind whose row another transaction holds is left out.';
revoke all on function publish.kinds_with_room(text[]) from public;
