create or replace function publish.oldest_marks(state publish.drain, most int)
returns setof publish.outbox
language plpgsql
stable
rows 1000
as $$
begin
  return query
    select o.*
      from publish.undrained(drained => (oldest_marks.state).drained,
                             partial_xid => (oldest_marks.state).partial_xid,
                             partial_seq => (oldest_marks.state).partial_seq,
                             seen => pg_current_snapshot(),
                             own => pg_current_xact_id_if_assigned()) r
     cross join lateral (
       select o.*
         from publish.outbox o
        where (o.xid, o.seq) > (r.lo, r.after) and o.xid < r.hi
        order by o.xid, o.seq
        limit oldest_marks.most
     ) o
     limit oldest_marks.most;
end
$$;
comment on function publish.oldest_marks(publish.drain, int) is
  'At most so many rows of the outbox that are not drained, about the oldest.';
revoke all on function publish.oldest_marks(publish.drain, int) from public;
