create or replace function publish.next_page(state publish.state, ask publish.ask)
returns publish.state
language plpgsql
as $$
declare
  v_state publish.state :=
    publish.lock_lane((next_page.state).subscription_id, (next_page.state).lane);
begin
  if v_state.token <> (next_page.state).token then
    return v_state;
  end if;
  if (next_page.ask).part = 'fresh' and not v_state.is_open then
    perform publish.step_lane(v_state, (next_page.ask).head);
  end if;
  return null;
end
$$;
comment on function publish.next_page(publish.state, publish.ask) is
  'For publish.open_batch, when a filter left nothing of a page: the lane''s state after it. Null: '
  'there was no page; then the lane steps to the head.';
revoke all on function publish.next_page(publish.state, publish.ask) from public;
