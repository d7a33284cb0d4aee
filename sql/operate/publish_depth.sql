-- Reads at most a thousand marks by index and 48 pages, however many wait and however old a
-- snapshot is held: the outbox has no dead rows.
create or replace function public.publish_depth() returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
declare
  c_most constant int := 1000;
  v_now timestamptz := clock_timestamp();
  v_state publish.drain := publish.drain_state();
  v_rows int;
  v_marks bigint;
begin
  select count(*), coalesce(sum(cardinality(o.source_ids)), 0)
    into v_rows, v_marks
    from publish.oldest_marks(v_state, c_most + 1) o;
  if v_rows > c_most then
    v_marks := greatest(v_marks, publish.estimated_marks(v_state));
  end if;
  v_marks := v_marks
             + (select count(*)
                  from (select from publish.deferred d
                         where d.sqlstate is distinct from '57014' and d.due_at <= v_now
                         limit c_most) d)
             + (select count(*)
                  from (select from publish.deferred d
                         where d.sqlstate = '57014' and d.due_at <= v_now
                         limit c_most) d);
  if v_marks = 0 and exists (select from publish.walk w where w.due_at <= v_now) then
    return 1;
  end if;
  return v_marks;
end
$$;
comment on function public.publish_depth() is
  'How many marks a drain would find now, for autoscalers and limits: exact up to 1000, above '
  'about right, from a sample of the pages that are not drained; due marks of publish.deferred '
  'count up to 2000. 1 if only a walk is due. Takes about 3 ms for any number.';
revoke all on function public.publish_depth() from public;
grant execute on function public.publish_depth() to publish_reader, publish_worker, publish_admin;
