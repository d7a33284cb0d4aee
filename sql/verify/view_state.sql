-- The pins are those of a projection: equal data must have equal text.
create or replace function publish.view_state(kind text)
returns table (source_id text, state text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
as $$
declare
  v_source_id text := publish.source_id_sql(view_state.kind);
  v_view text := (publish.check_kind(view_state.kind)).view;
begin
  return query
    select t.text::jsonb ->> 0, t.text::jsonb ->> 1
      from publish.read_texts(format(
        'select jsonb_build_array(%s, md5(to_jsonb(v.*)::text))::text from %s v',
        v_source_id, v_view)) as t (text)
     where t.text::jsonb ->> 0 is not null;
end
$$;
comment on function publish.view_state(text) is
  'Every key that the kind''s view shows, with a hash of its row: to see which keys a write '
  'changed. Errors: PT404 not a projected kind, and those of the view.';
revoke all on function publish.view_state(text) from public;
grant execute on function publish.view_state(text) to publish_admin;
