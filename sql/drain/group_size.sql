create or replace function publish.group_size(batch int, attempts int) returns int
language sql
immutable
parallel safe
as $$
  select greatest(1, (group_size.batch / power(8, least(group_size.attempts, 12)))::int)
$$;
comment on function publish.group_size(int, int) is
  'How many marks with which this many drains did not get through are tried together: an eighth of '
  'a batch, an eighth of that, and so on down to one.';
revoke all on function publish.group_size(int, int) from public;
