create or replace function publish.skip_unchanged(capture publish.capture) returns text
language sql
immutable
as $$
  select case when skip_unchanged.capture.by_row and skip_unchanged.capture.columns is not null
              then format('publish_gate.capture_%s_unchanged(old, new)',
                          skip_unchanged.capture.capture_id)
              else 'false' end
$$;
comment on function publish.skip_unchanged(publish.capture) is
  'Condition, as SQL, under which a row trigger leaves out an update: it changes nothing watched.';
revoke all on function publish.skip_unchanged(publish.capture) from public;
