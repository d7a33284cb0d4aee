create or replace function publish.key_text(parts text[]) returns text
language sql
immutable
parallel safe
as $$
  select case when array_position(key_text.parts, null) is null
              then to_jsonb(key_text.parts)::text end
$$;
comment on function publish.key_text(text[]) is
  'source_id of a composite key: the JSON array of its parts'' texts; null when a part is null.';
revoke all on function publish.key_text(text[]) from public;
grant execute on function publish.key_text(text[]) to publish_projector;
