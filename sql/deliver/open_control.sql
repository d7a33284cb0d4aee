create or replace function publish.open_control(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns setof publish.message
language plpgsql
rows 1
as $$
declare
  v_subscription publish.subscription := open_control.subscription;
  v_state publish.state := open_control.state;
  v_is_reset boolean := (open_control.subscription).reset_told_at is null;
begin
  return query
    insert into publish.batch as b
      (subscription_id, lane, worker, part, claimed, cursor, cursor_to, retried_to, retry_to,
       fresh_failures, fresh_due_at, retries_failures, retries_due_at, answered_at, lease_until)
    values (v_state.subscription_id, v_state.lane, (open_control.ask).worker, 'control', 1,
            v_state.cursor, v_state.cursor, v_state.retried_to, v_state.retried_to,
            v_state.fresh_failures, v_state.fresh_due_at, v_state.retries_failures,
            v_state.retries_due_at, v_state.answered_at,
            (open_control.ask).now + v_subscription.lease)
    returning b.token, b.lease_until, 1::bigint,
              case when v_is_reset then 0 else v_subscription.reset_rev end,
              case when v_is_reset then 'pgpublish.reset' else 'pgpublish.resynced' end,
              '00000000-0000-0000-0000-000000000000'::uuid, null::text, 1, false,
              jsonb_build_object('life', v_subscription.life, 'head', v_subscription.reset_rev),
              null::jsonb, v_subscription.reset_at, b.fresh_failures;
end
$$;
comment on function publish.open_control(publish.subscription, publish.state, publish.ask) is
  'Leases a locked lane for one event: pgpublish.reset until the consumer has been told, then '
  'pgpublish.resynced.';
revoke all on function publish.open_control(publish.subscription, publish.state, publish.ask)
  from public;
