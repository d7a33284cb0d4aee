-- STABLE: as its caller, it looks at one snapshot. The outbox is read by index: rows that are
-- drained and not yet truncated are stepped over. So that a page stays bounded, 100,000 marks of
-- the kind, or a lookup that finds as many keys, leave every key unsettled.
create or replace function publish.unsettled(kind text, source_ids text[]) returns text[]
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  c_most constant int := 100000;
  v_state publish.drain;
  v_unsettled text[];
  v_read bigint;
begin
  if exists (select from publish.rescan r where r.kind = unsettled.kind) then
    return unsettled.source_ids;
  end if;
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  with mark as materialized (
    select m.source_id, o.via
      from publish.undrained(coalesce(v_state.drained, '3:3:'), v_state.partial_xid,
                             v_state.partial_seq, pg_current_snapshot(),
                             pg_current_xact_id_if_assigned()) r
     cross join lateral (
       select o.* from publish.outbox o where (o.xid, o.seq) > (r.lo, r.after) and o.xid < r.hi) o
     cross join lateral unnest(o.source_id || o.more) as m (source_id)
     where o.kind = unsettled.kind
    union all
    select d.source_id, d.via
      from publish.delayed d
     where d.kind = unsettled.kind
       and (d.available_at <= clock_timestamp() or d.enqueued_at is not null)
     limit c_most
  ),
  found as materialized (
    select l.key
      from (select m.via, array_agg(distinct m.source_id) as marks
              from mark m
             where m.via is not null
             group by m.via) g
     cross join lateral publish.look_up(g.via, g.marks, c_most) as l (key)
     limit c_most
  )
  select array_agg(distinct u.source_id),
         greatest((select count(*) from mark), (select count(*) from found))
    into v_unsettled, v_read
    from (
      select m.source_id from mark m where m.via is null
      union all
      select f.key from found f
      union all
      select q.source_id from publish.quarantine q where q.kind = unsettled.kind
    ) u
   where u.source_id in (select unnest(unsettled.source_ids));
  if v_read = c_most then
    return unsettled.source_ids;
  end if;
  return coalesce(v_unsettled, '{}');
exception
  when operator_intervention or transaction_rollback or insufficient_resources
       or lock_not_available then
    raise;
  when others then
    return unsettled.source_ids; -- a lookup fails: the drain will ask for a walk
end
$$;
comment on function publish.unsettled(text, text[]) is
  'Which of these keys may differ now because they are still to be drained, or are quarantined.';
revoke all on function publish.unsettled(text, text[]) from public;
