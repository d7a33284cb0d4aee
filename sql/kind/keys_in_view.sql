create or replace function publish.keys_in_view(kind text, source_ids text[]) returns setof text
language plpgsql
stable
as $$
declare
  v_query text := publish.keys_in_view_sql(keys_in_view.kind);
begin
  if keys_in_view.source_ids = '{}' then
    return;
  end if;
  return query
    select r.id
      from publish.read_texts(query => v_query, ids => keys_in_view.source_ids)
             as r (id);
exception when data_exception or integrity_constraint_violation or sqlstate 'PT422' then
  -- Keys of before the kind was defined with other types: the view cannot show them.
  return query
    select r.id
      from publish.read_texts(
        query => v_query,
        ids => array(select u.id
                       from unnest(keys_in_view.source_ids) as u (id)
                      where publish.is_key(keys_in_view.kind, u.id))) as r (id);
end
$$;
comment on function publish.keys_in_view(text, text[]) is
  'Which of these keys the kind''s view shows, spelled as it spells them. Errors: PT404, and those '
  'of the view.';
revoke all on function publish.keys_in_view(text, text[]) from public;
