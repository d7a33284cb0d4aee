-- Marks with which a drain did not get through (57014) come by themselves, and of one kind: one of
-- them may stop the drain again. The more often they were tried, the fewer come together. The time
-- is a variable because clock_timestamp() in a query is no condition of an index. 64 MB at most, as
-- in publish.read_outbox.
create or replace function publish.read_deferred(size int, slow boolean) returns publish.drain_batch
language plpgsql
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_first publish.deferred;
  v_batch publish.drain_batch;
begin
  -- The rows are locked as they are found; what an open publish_retry has locked is left to it.
  if read_deferred.slow then
    select d.* into v_first
      from publish.deferred d
     where d.sqlstate = '57014' and d.due_at <= v_now
     order by d.due_at
     limit 1
       for update skip locked;
    v_batch.due := array(
      select d.deferred_id
        from (select d.*
                from publish.deferred d
               where d.sqlstate = '57014' and d.due_at <= v_now
               order by d.due_at
               limit publish.group_size(batch => read_deferred.size, attempts => v_first.attempts)
                 for update skip locked) d
       where d.kind = v_first.kind and d.attempts = v_first.attempts);
  else
    v_batch.due := array(
      select d.deferred_id
        from publish.deferred d
       where d.sqlstate is distinct from '57014' and d.due_at <= v_now
       order by d.due_at, d.payload_no
       limit read_deferred.size
         for update skip locked);
  end if;
  v_batch.due := array(
    select s.deferred_id
      from (select d.deferred_id, d.n, d.n = 1 or sum(publish.size_of(r.payload)::bigint
                   + publish.size_of(r.headers)) over (order by d.n) <= 64 * 1024 * 1024 as fits
              from unnest(v_batch.due) with ordinality as d (deferred_id, n)
              join publish.deferred r on r.deferred_id = d.deferred_id) s
     where s.fits
     order by s.n);
  select coalesce(array_agg(row(d.kind, d.source_id, d.n,
                                case when d.reason = 'scheduled'
                                     then greatest(d.payload_no, publish.microseconds(d.due_at))
                                     else d.payload_no end,
                                d.payload, d.deleted, d.headers, d.lookup_id,
                                coalesce(d.enqueued_at, d.due_at))::publish.mark
                            order by d.n), '{}'),
         array_agg(d.deferred_id), coalesce(bool_or(d.lookup_id is not null), false),
         min(coalesce(d.enqueued_at, d.due_at))
    into v_batch.marks, v_batch.due, v_batch.looks_up, v_batch.oldest
    from (select d.*, row_number() over (order by d.due_at, d.enqueued_at, d.payload_no) as n
            from publish.deferred d
           where d.deferred_id = any (v_batch.due)) d;
  v_batch.phase := case when read_deferred.slow then 1 else 0 end;
  v_batch.first := cardinality(v_batch.marks);
  v_batch.is_full := v_batch.first = read_deferred.size;
  return v_batch;
end
$$;
comment on function publish.read_deferred(int, boolean) is
  'Due marks of publish.deferred, at most size; slow: a group of those that stopped a drain, else '
  'the others. They are locked, and not removed yet.';
revoke all on function publish.read_deferred(int, boolean) from public;
