create or replace function publish.histogram_metrics(
  name text,
  labels jsonb,
  ages publish.ages,
  help text
) returns setof publish.metric
language sql
stable
as $$
  select row(histogram_metrics.name || '_bucket', 'histogram',
             histogram_metrics.labels
             || jsonb_build_object('le', coalesce((publish.age_bounds())[c.bucket]::text, '+Inf')),
             sum(c.n) over (order by c.bucket), histogram_metrics.help)::publish.metric
    from unnest((histogram_metrics.ages).counts) with ordinality as c (n, bucket)
  union all
  select row(histogram_metrics.name || '_count', 'histogram', histogram_metrics.labels,
             (select sum(c.n) from unnest((histogram_metrics.ages).counts) as c (n)),
             histogram_metrics.help)::publish.metric
   where (histogram_metrics.ages).counts is not null
  union all
  select row(histogram_metrics.name || '_sum', 'histogram', histogram_metrics.labels,
             (histogram_metrics.ages).seconds, histogram_metrics.help)::publish.metric
   where (histogram_metrics.ages).counts is not null
$$;
comment on function publish.histogram_metrics(text, jsonb, publish.ages, text) is
  'The rows of a cumulative histogram.';
revoke all on function publish.histogram_metrics(text, jsonb, publish.ages, text) from public;
