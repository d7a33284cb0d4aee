create or replace function publish.key_values(kind text, source_id text) returns text[]
language sql
stable
as $$
  select case when cardinality(k.key) = 1 then array[key_values.source_id]
              else publish.key_parts(key_values.source_id, k.key) end
    from publish.kind k
   where k.kind = key_values.kind
$$;
comment on function publish.key_values(text, text) is
  'The texts of the key columns that a source_id of the kind is made of. '
  'Errors: PT422 not the array of a composite key.';
revoke all on function publish.key_values(text, text) from public;
