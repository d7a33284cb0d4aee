-- What happened in a span is the newest row of a log less what was counted before the first sample
-- in the span. A sample of deliveries is a row of its log, and the row before it is kept with it.
create or replace function publish.latencies(spans interval[] default '{1 min,15 min,1 day}')
returns table (
  step text, subscription text, span interval, since timestamptz, changes bigint,
  per_second float8, p50 float8, p95 float8, p99 float8
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
  with span as (
    select s.span, s.n, clock_timestamp() - s.span as from_at
      from unnest(latencies.spans) with ordinality as s (span, n)
  ),
  part as (
    select 'published' as step, null as subscription, s.span, s.n, s.from_at,
           o.last_at as old_at,
           n.waits as new, case when o.drain_id is null then n.waits else o.waits end as old
      from span s
     cross join lateral (
       select d.* from publish.drain d order by d.drain_id desc limit 1) n
      left join lateral (
       select d.drain_id, d.last_at, d.waits
         from publish.drain_sample d
        where d.at > s.from_at
        order by d.at
        limit 1) o on true
    union all
    select 'delivered', b.name, s.span, s.n, s.from_at, o.at, n.waits,
           case when f.token is null then n.waits else o.waits end
      from span s
     cross join publish.subscription b
     cross join lateral publish.delivered_lanes(b.subscription_id) l
     cross join lateral (
       select d.*
         from publish.delivered d
        where d.subscription_id = b.subscription_id and d.lane = l.lane
        order by d.token desc
        limit 1) n
      left join lateral (
       select d.token
         from publish.delivered d
        where d.subscription_id = b.subscription_id and d.lane = l.lane
          and d.keep is not null and d.at > s.from_at
        order by d.at
        limit 1) f on true
      left join lateral (
       select d.waits, d.at
         from publish.delivered d
        where d.subscription_id = b.subscription_id and d.lane = l.lane and d.token < f.token
        order by d.token desc
        limit 1) o on true
  ),
  bucket as (
    select p.step, p.subscription, p.span, p.n, min(greatest(p.old_at, p.from_at)) as since,
           p.from_at, c.bucket, sum(c.n - coalesce((p.old).counts[c.bucket], 0))::bigint as count
      from part p
     cross join lateral unnest((p.new).counts) with ordinality as c (n, bucket)
     group by p.step, p.subscription, p.span, p.n, p.from_at, c.bucket
  ),
  histogram as (
    select b.step, b.subscription, b.span, b.n, coalesce(min(b.since), b.from_at) as since,
           array_agg(b.count order by b.bucket) as counts, sum(b.count)::bigint as changes
      from bucket b
     group by b.step, b.subscription, b.span, b.n, b.from_at
  )
  select h.step, h.subscription, h.span, h.since, h.changes,
         h.changes / greatest(date_part('epoch', clock_timestamp() - h.since), 1),
         publish.quantile(h.counts, 0.5), publish.quantile(h.counts, 0.95),
         publish.quantile(h.counts, 0.99)
    from histogram h
   order by h.step desc, h.subscription, h.n
$$;
comment on function publish.latencies(interval[]) is
  'The view publish.latency for these spans, at most a day.';
revoke all on function publish.latencies(interval[]) from public;
grant execute on function publish.latencies(interval[])
  to publish_reader, publish_worker, publish_admin;
