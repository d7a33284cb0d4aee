create or replace function publish.age_bounds() returns float8[]
language sql
immutable
parallel safe
as $$
  select '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,300,1800,3600}'::float8[]
$$;
comment on function publish.age_bounds() is
  'Upper bounds in seconds of the buckets of publish.ages, inclusive; one more has none. Never '
  'changed: the counts of years refer to them.';
revoke all on function publish.age_bounds() from public;
