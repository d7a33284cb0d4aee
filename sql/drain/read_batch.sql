-- What stopped a drain is tried again only in every second drain, unless nothing else is there: so
-- live changes wait for one such try, and never for two in a row.
create or replace function publish.read_batch(
  state publish.drain,
  size int,
  apart boolean default false
) returns publish.drain_batch
language plpgsql
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_is_slow boolean;
  v_is_due boolean;
  v_has_failed boolean;
  v_batch publish.drain_batch;
begin
  select exists (select from publish.deferred d
                  where d.sqlstate = '57014' and d.due_at <= v_now),
         exists (select from publish.deferred d
                  where d.sqlstate is distinct from '57014' and d.due_at <= v_now),
         -- EXISTS would forget the order, and with it the index.
         (select true from publish.deferred d where d.reason = 'failed'
           order by d.kind, d.source_id, coalesce(d.lookup_id, 0) limit 1) is not null
    into v_is_slow, v_is_due, v_has_failed;
  if v_is_slow or v_is_due then
    if v_is_slow and not (read_batch.state).retried then
      v_batch := publish.add_due(
        batch => publish.read_outbox(state => read_batch.state, size => 0),
        due => publish.read_deferred(size => read_batch.size, slow => true));
    end if;
    if cardinality(v_batch.due) > 0 is not true then
      v_batch := publish.read_with_due(state => read_batch.state, size => read_batch.size,
                                       apart => read_batch.apart);
    end if;
  else
    v_batch := publish.read_outbox(state => read_batch.state, size => read_batch.size);
  end if;
  if v_is_slow and cardinality(v_batch.marks) = 0 and (read_batch.state).retried then
    read_batch.state.retried := false;
    return publish.read_batch(state => read_batch.state, size => read_batch.size,
                              apart => read_batch.apart);
  end if;
  v_batch.has_failed := v_has_failed;
  return v_batch;
end
$$;
comment on function publish.read_batch(publish.drain, int, boolean) is
  'What a drain that begins in this state takes, at most size marks: a group of those that stopped '
  'a drain before, or other due ones and the next of the outbox; apart: one or the other.';
revoke all on function publish.read_batch(publish.drain, int, boolean) from public;
