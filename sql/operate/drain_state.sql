create or replace function publish.drain_state() returns publish.drain
language plpgsql
stable
as $$
declare
  v_state publish.drain;
begin
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  v_state.drained := coalesce(v_state.drained, '3:3:');
  return v_state;
end
$$;
comment on function publish.drain_state() is
  'The newest row of publish.drain, as far as queries of what waits need it; before the first '
  'drain nothing is drained.';
revoke all on function publish.drain_state() from public;
