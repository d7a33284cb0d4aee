-- Planned under the settings of its caller.
create or replace function publish.reading_floor(reading publish.reading) returns bigint
language plpgsql
stable
as $$
begin
  return greatest(
    publish.floor_of(kinds => (reading_floor.reading).kinds, departed => false),
    publish.floor_of(kinds => coalesce((reading_floor.reading).scoped, '{}'), departed => true));
end
$$;
comment on function publish.reading_floor(publish.reading) is
  'Highest rev pruned of what the reader reads; null if nothing of it was. Who was there before '
  'begins again.';
revoke all on function publish.reading_floor(publish.reading) from public;
