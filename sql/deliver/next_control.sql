-- Dead letters too keep pgpublish.resynced waiting: then the consumer deletes what it was not sent.
create or replace function publish.next_control(
  subscription publish.subscription,
  state publish.state,
  now timestamptz
) returns text
language plpgsql
stable
as $$
declare
  v_is_due boolean := (next_control.state).lane = 0;
begin
  if (next_control.subscription).reset_rev is null then
    return null;
  end if;
  if (next_control.subscription).reset_told_at is not null then
    v_is_due := v_is_due
      and not exists (
        select
          from publish.lane_now l
         where l.subscription_id = (next_control.subscription).subscription_id
           and l.cursor < (next_control.subscription).reset_rev)
      and not exists (
        select
          from publish.parked k
         where k.subscription_id = (next_control.subscription).subscription_id);
    if not v_is_due then
      return null;
    end if;
  end if;
  return case when v_is_due and ((next_control.state).fresh_due_at > next_control.now) is not true
              then 'control' else 'wait' end;
end
$$;
comment on function publish.next_control(publish.subscription, publish.state, timestamptz) is
  'control: this lane sends pgpublish.reset, at the beginning of a resync, or pgpublish.resynced, '
  'at its end. wait: nothing is sent before. Null: changes are.';
revoke all on function publish.next_control(publish.subscription, publish.state, timestamptz)
  from public;
