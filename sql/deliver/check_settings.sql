create or replace function publish.check_settings(
  subscription publish.subscription,
  from_rev bigint
) returns void
language plpgsql
stable
as $$
declare
  v_new publish.subscription := check_settings.subscription;
begin
  if coalesce(octet_length(v_new.name), 0) not between 1 and 200 then
    raise exception 'a subscription has a name of 1 to 200 bytes' using
      errcode = 'PT400',
      detail = format('name %L', left(v_new.name, 60)),
      hint = 'Name it after its consumer, such as ''search''.';
  end if;
  if (v_new.lanes between 1 and 256 and v_new.max_attempts > 0
      and v_new.backoff_min > interval '0' and v_new.backoff_max >= v_new.backoff_min
      and v_new.backoff_max <= interval '1 year'
      and v_new.lease > interval '0' and v_new.lease <= interval '1 day'
      and check_settings.from_rev >= 0
      and cardinality(v_new.kinds) is distinct from 0) is not true then
    raise exception 'a setting is out of its range' using
      errcode = 'PT400',
      detail = format('lanes %s, max_attempts %s, backoff_min %s, backoff_max %s, lease %s, '
                      'from_rev %s, kinds %s', v_new.lanes, v_new.max_attempts,
                      v_new.backoff_min, v_new.backoff_max, v_new.lease, check_settings.from_rev,
                      v_new.kinds),
      hint = 'Use lanes 1 to 256, attempts and waits above 0, backoff_min up to backoff_max, a '
             'lease of at most a day, from_rev 0 or more, and kinds ''{*}'' for all.';
  end if;
  if v_new.rate not between 0.001 and 1e9 or v_new.give_up_after <= interval '0'
     or v_new.give_up_after > interval '1000 years'
     or v_new.on_reset not in ('resync', 'pause', 'continue') then
    raise exception 'a setting is out of its range' using
      errcode = 'PT400',
      detail = format('rate %s, give_up_after %s, on_reset %L', v_new.rate, v_new.give_up_after,
                      v_new.on_reset),
      hint = 'Use a rate from 0.001 changes a second on, or 0 for no limit, a give_up_after above '
             '0, and on_reset resync, pause or continue.';
  end if;
  perform publish.check_kind(k.kind) from unnest(v_new.kinds) as k (kind);
end
$$;
comment on function publish.check_settings(publish.subscription, bigint) is
  'Errors: PT400 a setting of a subscription is out of its range, PT404 unknown kind.';
revoke all on function publish.check_settings(publish.subscription, bigint) from public;
