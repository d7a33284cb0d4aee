create or replace function publish.sum_of_ages(ages publish.ages[]) returns publish.ages
language sql
immutable
parallel safe
as $$
  select row(array(select sum(c.n)::bigint
                     from unnest(sum_of_ages.ages) a
                    cross join lateral unnest(a.counts) with ordinality as c (n, bucket)
                    group by c.bucket
                    order by c.bucket),
             (select sum(a.seconds) from unnest(sum_of_ages.ages) a))::publish.ages
$$;
comment on function publish.sum_of_ages(publish.ages[]) is 'These histograms as one.';
revoke all on function publish.sum_of_ages(publish.ages[]) from public;
