-- Each sample holds what was counted before it; the newest row of the log ends the last step.
create or replace function publish.drain_history(span interval, step interval)
returns table (
  at timestamptz, seconds float8, published bigint, marks bigint, unchanged bigint, p50 float8,
  p95 float8
)
language sql
stable
as $$
  with point as (
    select p.*
      from (
        select distinct on (date_bin(drain_history.step, s.at, '2000-01-01 UTC'))
               date_bin(drain_history.step, s.at, '2000-01-01 UTC') as bin, s.head,
               s.scanned_total, s.unchanged_total, (s.waits).counts
          from publish.drain_sample s
         where s.at > clock_timestamp() - drain_history.span
         order by date_bin(drain_history.step, s.at, '2000-01-01 UTC'), s.at
      ) p
    union all
    (select clock_timestamp(), d.head, d.scanned_total, d.unchanged_total, (d.waits).counts
       from publish.drain d
      order by d.drain_id desc
      limit 1)
  ),
  change as (
    select p.bin, p.head, p.scanned_total, p.unchanged_total, p.counts,
           lead(p.bin) over w as next_bin, lead(p.head) over w as next_head,
           lead(p.scanned_total) over w as next_scanned,
           lead(p.unchanged_total) over w as next_unchanged, lead(p.counts) over w as next_counts
      from point p
    window w as (order by p.bin)
  )
  select c.bin,
         least(date_part('epoch', c.next_bin - c.bin), date_part('epoch', drain_history.step)),
         c.next_head - c.head, c.next_scanned - c.scanned_total,
         c.next_unchanged - c.unchanged_total, publish.quantile(n.counts, 0.5),
         publish.quantile(n.counts, 0.95)
    from change c
   cross join lateral (
     select array_agg(b.n - coalesce(c.counts[b.bucket], 0) order by b.bucket) as counts
       from unnest(c.next_counts) with ordinality as b (n, bucket)
   ) n
   where c.next_bin is not null
   order by c.bin
$$;
comment on function publish.drain_history(interval, interval) is
  'What drains did in each step of a span: how many seconds of it are meant, changes published, '
  'marks, keys unchanged, and how long the changes had waited. Steps without a drain are left out.';
revoke all on function publish.drain_history(interval, interval) from public;
