create or replace function publish.is_key(kind text, source_id text) returns boolean
language plpgsql
stable
as $$
declare
  v_key record;
  v_parts text[];
begin
  select c.* into v_key from publish.key_columns(is_key.kind) c;
  v_parts := case when cardinality(v_key.types) = 1 then array[is_key.source_id]
                  else publish.key_parts(is_key.source_id, v_key.columns) end;
  execute format('select %s', (select string_agg(format('($1)[%s]::%s', t.n, t.type), ', ')
                                 from unnest(v_key.types) with ordinality as t (type, n)))
    using v_parts;
  return true;
exception
  when sqlstate 'PT404' then
    return true; -- no view to ask
  when data_exception or sqlstate 'PT422' then
    return false;
end
$$;
comment on function publish.is_key(text, text) is
  'Whether the kind''s view could show this key: its text can be cast to the key columns'' types.';
revoke all on function publish.is_key(text, text) from public;
