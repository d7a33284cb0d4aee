create or replace function publish.key_parts(source_id text, columns text[]) returns text[]
language plpgsql
immutable
parallel safe
as $$
declare
  v_parts text[];
begin
  begin
    select array_agg(p.value order by p.n) into v_parts
      from jsonb_array_elements_text(key_parts.source_id::jsonb) with ordinality as p (value, n);
  exception when data_exception then
    null; -- no JSON array: refused below
  end;
  if cardinality(v_parts) is distinct from cardinality(key_parts.columns)
     or array_position(v_parts, null) is not null then
    raise exception 'source_id is not the JSON array of a composite key' using
      errcode = 'PT422',
      detail = format('source_id %L, key columns %s',
                      left(key_parts.source_id, 60), key_parts.columns),
      hint = 'Pass one text for each key column, as in ["7", "en"].';
  end if;
  return v_parts;
end
$$;
comment on function publish.key_parts(text, text[]) is
  'Parts of a composite key''s source_id. Errors: PT422 when it has not one text per column.';
revoke all on function publish.key_parts(text, text[]) from public;
grant execute on function publish.key_parts(text, text[]) to publish_projector;
