create or replace function publish.sample_keep(last timestamptz, now timestamptz) returns interval
language sql
immutable
parallel safe
as $$
  select case when sample_keep.last >= date_bin('10 s', sample_keep.now, '2000-01-01 UTC')
                then null
              when sample_keep.last >= date_bin('5 min', sample_keep.now, '2000-01-01 UTC')
                then interval '1 hour'
              else interval '25 hours' end
$$;
comment on function publish.sample_keep(timestamptz, timestamptz) is
  'For how long what a log counts is kept as a sample: 25 hours before the first row of five '
  'minutes, an hour before that of ten seconds, else null. last: time of the row before; null: '
  'there is none.';
revoke all on function publish.sample_keep(timestamptz, timestamptz) from public;
