create or replace function publish.kind_depth(
  out kind text,
  out marks bigint,
  out oldest_at timestamptz
) returns setof record
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
declare
  c_most constant int := 10000;
  v_depth bigint := public.publish_depth();
begin
  return query
    with waiting as (
      select w.kind,
             case when sum(w.n) over () <= c_most then w.marks
                  else round(w.marks * greatest(1, v_depth / sum(w.marks) over ()))::bigint
                  end as marks,
             w.oldest_at
        from (
          select o.kind, count(*) as n, sum(cardinality(o.source_ids)) as marks,
                 min(o.enqueued_at) as oldest_at
            from publish.oldest_marks(publish.drain_state(), c_most + 1) o
           group by o.kind
        ) w
      union all
      select d.kind, count(*), min(d.enqueued_at)
        from (select f.* from publish.deferred f where f.reason = 'off' limit 100000) d
       group by d.kind
    )
    select n.kind, sum(n.marks)::bigint, min(n.oldest_at)
      from (select coalesce(publish.present_name(w.kind, clock_timestamp()), w.kind) as kind,
                   w.marks, w.oldest_at
              from waiting w) n
     group by n.kind
     order by n.kind;
end
$$;
comment on function publish.kind_depth() is
  'Of each kind with marks that wait, how many and when the oldest was written: those in the '
  'outbox that are not drained, and those of a kind that is switched off. Beyond 10,000 rows the '
  'marks of each are about right, by their share of these; of those switched off 100,000 count.';
revoke all on function publish.kind_depth() from public;
