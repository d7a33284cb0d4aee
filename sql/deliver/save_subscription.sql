create or replace function publish.save_subscription(
  subscription publish.subscription,
  from_rev bigint
) returns publish.subscription
language plpgsql
as $$
declare
  v_new publish.subscription := save_subscription.subscription;
  v_saved publish.subscription;
  v_head bigint;
  v_broken text;
begin
  update publish.subscription s
     set sink = v_new.sink, options = v_new.options, kinds = v_new.kinds, lanes = v_new.lanes,
         max_attempts = v_new.max_attempts, backoff_min = v_new.backoff_min,
         backoff_max = v_new.backoff_max, lease = v_new.lease, key = v_new.key, rate = v_new.rate,
         filter = v_new.filter,
         on_reset = v_new.on_reset, give_up_after = v_new.give_up_after, fault = null,
         fault_at = null, updated_at = clock_timestamp()
   where s.name = v_new.name
  returning s.* into v_saved;
  if found then
    return v_saved;
  end if;
  select s.head, s.broken into v_head, v_broken
    from publish.cursor_state(since => save_subscription.from_rev, base => null, epoch => null,
                              reading => row(v_new.kinds, null, null, null)::publish.reading) s;
  if v_broken is not null then
    raise exception 'the feed cannot be read from this rev' using
      errcode = 'PT410',
      detail = v_broken,
      hint = 'Begin at 0, or at publish_head() for what comes from now on.';
  end if;
  insert into publish.subscription as s
    (name, sink, options, kinds, lanes, max_attempts, backoff_min, backoff_max, lease, key, rate,
     filter, on_reset, give_up_after, epoch_no, base, tombstones_after)
  values (v_new.name, v_new.sink, v_new.options, v_new.kinds, v_new.lanes, v_new.max_attempts,
          v_new.backoff_min, v_new.backoff_max, v_new.lease, v_new.key, v_new.rate,
          v_new.filter, v_new.on_reset, v_new.give_up_after, publish.newest_break(),
          case when save_subscription.from_rev = 0 then v_head end,
          case when save_subscription.from_rev = 0 then v_head else 0 end)
  on conflict on constraint name_is_unique do nothing
  returning s.* into v_saved;
  if not found then
    raise exception 'another session has just made this subscription' using
      errcode = 'PT423',
      detail = format('subscription %L', v_new.name),
      hint = 'Call publish_subscribe again: it changes what is given.';
  end if;
  return v_saved;
end
$$;
comment on function publish.save_subscription(publish.subscription, bigint) is
  'Stores the settings of a subscription, and returns it. A new one begins after from_rev. Errors: '
  'PT410 that is above the head or pruned, PT423 another session has just made it.';
revoke all on function publish.save_subscription(publish.subscription, bigint) from public;
