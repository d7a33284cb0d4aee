create or replace function publish.size_of(value jsonb) returns int
language sql
stable
parallel safe
as $$
  select case when size_of.value is null then 0
              when pg_column_size(size_of.value) < 2000
                   and pg_column_compression(size_of.value) is null
              then pg_column_size(size_of.value)
              else pg_column_size(array[size_of.value]) end
$$;
comment on function publish.size_of(jsonb) is
  'Bytes of a value in memory, also of one that is stored compressed; 0 for null.';
revoke all on function publish.size_of(jsonb) from public;
