create or replace function publish.undrained_marks(kind text, most int) returns setof publish.mark
language plpgsql
stable
as $$
declare
  v_state publish.drain;
  v_now timestamptz := clock_timestamp();
begin
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  return query
    select undrained_marks.kind, m.source_id, o.seq, null::bigint, null::jsonb, o.deleted,
           null::jsonb, o.lookup_id, o.enqueued_at
      from publish.undrained(
             drained => coalesce(v_state.drained, '3:3:'), partial_xid => v_state.partial_xid,
             partial_seq => v_state.partial_seq, seen => pg_current_snapshot(),
             own => pg_current_xact_id_if_assigned()) r
     cross join lateral (
       select o.*
         from publish.outbox o
        where (o.xid, o.seq) > (r.lo, r.after) and o.xid < r.hi and o.kind = undrained_marks.kind) o
     cross join lateral unnest(o.source_ids) as m (source_id)
    union all
    -- A drain puts off the marks of a table that is being replaced by seconds.
    select d.kind, d.source_id, null, null, null, d.deleted, null, d.lookup_id, d.enqueued_at
      from publish.deferred d
     where d.sqlstate is distinct from '57014' and d.due_at <= v_now + interval '1 minute'
       and d.kind = undrained_marks.kind
       and (d.reason = 'locked' or d.reason = 'scheduled' and d.due_at <= v_now)
     limit undrained_marks.most;
end
$$;
comment on function publish.undrained_marks(text, int) is
  'The marks of a kind that the next drains will take, at most so many: those in the outbox, those '
  'that are due, and those that wait for a table that is being replaced.';
revoke all on function publish.undrained_marks(text, int) from public;
