-- Inlined where all are variables: the drain of a single key pays for no call.
create or replace function publish.add_age(counts bigint[], age float8, many int) returns bigint[]
language sql
immutable
parallel safe
as $$
  select add_age.counts[:width_bucket(add_age.age - 1e-7, publish.age_bounds())]
         || add_age.counts[width_bucket(add_age.age - 1e-7, publish.age_bounds()) + 1]
            + add_age.many
         || add_age.counts[width_bucket(add_age.age - 1e-7, publish.age_bounds()) + 2:]
$$;
comment on function publish.add_age(bigint[], float8, int) is
  'The counts of publish.ages with so many more of this age, in seconds; a bound belongs to the '
  'bucket below it.';
revoke all on function publish.add_age(bigint[], float8, int) from public;
