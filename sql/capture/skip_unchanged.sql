create or replace function publish.skip_unchanged(capture publish.capture) returns text
language sql
immutable
as $$
  select case
    when skip_unchanged.capture.by_row and skip_unchanged.capture.columns is not null
    then format($code$
    if tg_op operator(pg_catalog.=) 'UPDATE'
       and publish_gate.capture_%s_unchanged(old, new) then
      return null;
    end if;$code$, skip_unchanged.capture.capture_id) end
$$;
comment on function publish.skip_unchanged(publish.capture) is
  'Statement with which a row trigger leaves out an update that changes nothing watched; null: '
  'none is needed.';
revoke all on function publish.skip_unchanged(publish.capture) from public;
