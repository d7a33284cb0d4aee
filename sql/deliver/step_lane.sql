create or replace function publish.step_lane(state publish.state, cursor bigint) returns void
language plpgsql
as $$
declare
  v_state publish.state := step_lane.state;
begin
  insert into publish.batch
    (subscription_id, lane, part, cursor, cursor_to, retried_to, retry_to, fresh_failures,
     fresh_due_at, retries_failures, retries_due_at, answered_at, sent, failed, dead, settled_at)
  values (v_state.subscription_id, v_state.lane, v_state.part, v_state.cursor, step_lane.cursor,
          v_state.retried_to, v_state.retried_to, v_state.fresh_failures, v_state.fresh_due_at,
          v_state.retries_failures, v_state.retries_due_at, v_state.answered_at, 0, 0, 0,
          clock_timestamp());
end
$$;
comment on function publish.step_lane(publish.state, bigint) is
  'Moves a locked lane past what is not for it.';
revoke all on function publish.step_lane(publish.state, bigint) from public;
