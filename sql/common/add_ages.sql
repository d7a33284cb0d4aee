create or replace function publish.add_ages(
  ages publish.ages,
  since timestamptz[],
  now timestamptz
) returns publish.ages
language plpgsql
immutable
parallel safe
as $$
declare
  v_ages publish.ages := add_ages.ages;
  v_all record;
  v_bucket int;
begin
  -- Most drains and batches stay in one bucket: then they are counted together.
  select min(s.since) as oldest, max(s.since) as newest, count(s.since) as n,
         sum(date_part('epoch', add_ages.now - s.since)) as seconds
    into v_all
    from unnest(add_ages.since) as s (since);
  v_bucket := width_bucket(date_part('epoch', add_ages.now - v_all.oldest) - 1e-7,
                           publish.age_bounds()) + 1;
  if v_all.n = cardinality(add_ages.since) and v_all.newest <= add_ages.now
     and v_bucket = width_bucket(date_part('epoch', add_ages.now - v_all.newest) - 1e-7,
                                 publish.age_bounds()) + 1 then
    v_ages.counts[v_bucket] := v_ages.counts[v_bucket] + v_all.n;
    v_ages.seconds := v_ages.seconds + v_all.seconds;
    return v_ages;
  end if;
  select array_agg(c.n + coalesce(f.n, 0) order by c.bucket),
         v_ages.seconds + coalesce(sum(f.seconds), 0)
    into v_ages.counts, v_ages.seconds
    from unnest(v_ages.counts) with ordinality as c (n, bucket)
    left join (
      select width_bucket(a.age - 1e-7, publish.age_bounds()) + 1 as bucket, count(*) as n,
             sum(a.age) as seconds
        from (select greatest(date_part('epoch', add_ages.now - s.since), 0) as age
                from unnest(add_ages.since) as s (since)
              offset 0) a
       group by 1
    ) f on f.bucket = c.bucket;
  return v_ages;
end
$$;
comment on function publish.add_ages(publish.ages, timestamptz[], timestamptz) is
  'The histogram with the ages since these times added, each as publish.add_age does; below zero '
  'counts as zero, where a clock was set.';
revoke all on function publish.add_ages(publish.ages, timestamptz[], timestamptz) from public;
