-- Due marks get half of a batch while the outbox fills it. Where they and the outbox do not go
-- together, they take turns, drain by drain: in a batch of one; after lookups that found too much;
-- where the outbox's first transaction fits into a batch, but not into half of one.
create or replace function publish.read_with_due(state publish.drain, size int, apart boolean)
returns publish.drain_batch
language plpgsql
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_apart boolean := read_with_due.apart or read_with_due.size = 1;
  v_most int := case when not v_apart then read_with_due.size - read_with_due.size / 2
                     when (read_with_due.state).drain_id % 2 = 0 then read_with_due.size
                     else 0 end;
  v_waiting int;
  v_live publish.drain_batch;
  v_due publish.drain_batch;
begin
  v_waiting := (select count(*)
                  from (select
                          from publish.deferred d
                         where d.sqlstate is distinct from '57014' and d.due_at <= v_now
                         order by d.due_at
                         limit v_most) d);
  v_live := publish.read_outbox(
    state => read_with_due.state,
    size => case when v_apart and v_waiting > 0 then 0 else read_with_due.size - v_waiting end);
  if not v_apart and publish.is_cut(v_live)
     and not publish.is_cut(publish.read_outbox(state => read_with_due.state,
                                                size => read_with_due.size)) then
    return publish.read_with_due(state => read_with_due.state, size => read_with_due.size,
                                 apart => true);
  end if;
  v_due := publish.read_deferred(
    size => case when v_apart and v_live.first > 0 then 0
                 else greatest(v_waiting, read_with_due.size - cardinality(v_live.marks)) end,
    slow => false);
  if v_due.first = 0 and v_waiting > 0 then -- somebody has them locked
    return publish.read_outbox(state => read_with_due.state, size => read_with_due.size);
  end if;
  return publish.add_due(batch => v_live, due => v_due);
end
$$;
comment on function publish.read_with_due(publish.drain, int, boolean) is
  'At most size marks: due ones of publish.deferred, but none that stopped a drain, and the next '
  'of the outbox. apart: one or the other.';
revoke all on function publish.read_with_due(publish.drain, int, boolean) from public;
