create or replace function publish.no_ages() returns publish.ages
language sql
immutable
parallel safe
as $$
  select row(array_fill(0::bigint, array[cardinality(publish.age_bounds()) + 1]), 0)::publish.ages
$$;
comment on function publish.no_ages() is 'An empty histogram.';
revoke all on function publish.no_ages() from public;
