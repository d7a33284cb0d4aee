create or replace function publish.claimable(name text) returns publish.subscription
language plpgsql
as $$
declare
  v_subscription publish.subscription := publish.check_subscription(claimable.name);
begin
  if not publish.know_epoch() then
    return null;
  end if;
  if v_subscription.epoch_no < publish.newest_break() then
    perform from publish.subscription s
      where s.subscription_id = v_subscription.subscription_id
        for no key update skip locked;
    if not found then
      return null;
    end if;
    v_subscription := publish.lock_subscription(claimable.name);
  end if;
  if v_subscription.paused_at is not null or v_subscription.disabled_at is not null then
    return null;
  end if;
  return v_subscription;
end
$$;
comment on function publish.claimable(text) is
  'The subscription, after any reset that is due; null while nothing of it may be claimed. Errors: '
  'PT404 there is none.';
revoke all on function publish.claimable(text) from public;
