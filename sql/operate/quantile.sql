create or replace function publish.quantile(counts bigint[], share float8) returns float8
language sql
immutable
parallel safe
as $$
  select b.low + (b.high - b.low) * (b.wanted - b.before) / b.n
    from (
      select c.n, quantile.share * sum(c.n) over () as wanted,
             sum(c.n) over (order by c.bucket) - c.n as before, c.bucket,
             coalesce((publish.age_bounds())[c.bucket - 1], 0) as low,
             coalesce((publish.age_bounds())[c.bucket],
                      (publish.age_bounds())[c.bucket - 1]) as high
        from unnest(quantile.counts) with ordinality as c (n, bucket)
    ) b
   where b.n > 0 and b.before + b.n >= b.wanted
   order by b.bucket
   limit 1
$$;
comment on function publish.quantile(bigint[], float8) is
  'Below which age in seconds this share of a histogram is, taken to be even within a bucket; '
  'above the last bound, that bound. Null: it is empty.';
revoke all on function publish.quantile(bigint[], float8) from public;
