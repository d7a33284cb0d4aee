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
  -- Of a view whose rows have the same parts in any order, the parts.
  v_row text := case
    when exists (select from publish.varying(v_view::regclass))
    then '(select string_agg(c, '''' order by c)'
         ' from unnest(string_to_array(to_jsonb(v.*)::text, null)) as c)'
    else 'to_jsonb(v.*)::text' end;
begin
  return query
    select t.text::jsonb ->> 0, t.text::jsonb ->> 1
      from publish.read_texts(format(
        'select jsonb_build_array(%s, md5(%s))::text from %s v', v_source_id, v_row, v_view))
           as t (text)
     where t.text::jsonb ->> 0 is not null;
end
$$;
comment on function publish.view_state(text) is
  'Every key that the kind''s view shows, with a hash of its row: to see which keys a write '
  'changed. A row whose parts are only in another order counts as the same where the view does not '
  'fix their order. Errors: PT404 not a projected kind, and those of the view.';
revoke all on function publish.view_state(text) from public;
grant execute on function publish.view_state(text) to publish_admin;
