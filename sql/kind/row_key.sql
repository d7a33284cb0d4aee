create or replace function publish.row_key(parts text[]) returns text
language sql
immutable
parallel safe
as $$
  select case when cardinality(row_key.parts) = 1 then row_key.parts[1]
              else publish.key_text(row_key.parts) end
$$;
comment on function publish.row_key(text[]) is
  'source_id of a key given as the texts of its columns; null when a part is null.';
revoke all on function publish.row_key(text[]) from public;
grant execute on function publish.row_key(text[]) to publish_projector;
