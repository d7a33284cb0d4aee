create or replace function publish.next_size(last int, batch int, took interval) returns int
language sql
stable
as $$
  select nullif(
    least(next_size.batch,
          case when next_size.took > least(interval '1 second',
                 nullif(current_setting('statement_timeout')::interval, '0') / 2)
               then greatest(1, next_size.last / 2)
               when next_size.took > least(interval '1 second',
                 nullif(current_setting('statement_timeout')::interval, '0') / 2) / 4
               then next_size.last
               else next_size.last * 2::bigint end), next_size.batch)::int
$$;
comment on function publish.next_size(int, int, interval) is
  'How many to take next time, after at most last took so long: half of it after more than a '
  'second or half of statement_timeout, twice as many after less than a quarter of that. Null: a '
  'whole batch.';
revoke all on function publish.next_size(int, int, interval) from public;
