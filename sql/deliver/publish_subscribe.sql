-- A new definition of a name goes on where the old one is. With another number of lanes every lane
-- goes on from the slowest one: some changes are sent twice, none is missed.
create or replace function public.publish_subscribe(
  name text,
  sink text,
  options jsonb default '{}',
  kinds text[] default null,
  from_rev bigint default 0,
  lanes int default 1,
  max_attempts int default 15,
  backoff_min interval default interval '1 second',
  backoff_max interval default interval '1 hour',
  lease interval default interval '1 minute'
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_old publish.subscription;
  v_new publish.subscription;
  v_head bigint;
  v_broken text;
begin
  if coalesce(octet_length(publish_subscribe.name), 0) not between 1 and 200 then
    raise exception 'a subscription has a name of 1 to 200 bytes' using
      errcode = 'PT400',
      detail = format('name %L', left(publish_subscribe.name, 60)),
      hint = 'Name it after its consumer, such as ''search''.';
  end if;
  if (publish_subscribe.lanes between 1 and 256 and publish_subscribe.max_attempts > 0
      and publish_subscribe.backoff_min > interval '0'
      and publish_subscribe.backoff_max >= publish_subscribe.backoff_min
      and publish_subscribe.backoff_max <= interval '1 year'
      and publish_subscribe.lease > interval '0' and publish_subscribe.lease <= interval '1 day'
      and publish_subscribe.from_rev >= 0
      and cardinality(publish_subscribe.kinds) is distinct from 0) is not true then
    raise exception 'a setting is out of its range' using
      errcode = 'PT400',
      detail = format('lanes %s, max_attempts %s, backoff_min %s, backoff_max %s, lease %s, '
                      'from_rev %s, kinds %s', publish_subscribe.lanes,
                      publish_subscribe.max_attempts, publish_subscribe.backoff_min,
                      publish_subscribe.backoff_max, publish_subscribe.lease,
                      publish_subscribe.from_rev, publish_subscribe.kinds),
      hint = 'Use lanes 1 to 256, attempts and waits above 0, backoff_min up to backoff_max, a '
             'lease of at most a day, from_rev 0 or more, and kinds null for all.';
  end if;
  perform publish.check_kind(k.kind) from unnest(publish_subscribe.kinds) as k (kind);
  perform publish.check_sink(publish_subscribe.sink, publish_subscribe.options);

  if exists (select from publish.subscription s where s.name = publish_subscribe.name) then
    v_old := publish.lock_subscription(publish_subscribe.name);
  else
    select s.head, s.broken into v_head, v_broken
      from publish.cursor_state(publish_subscribe.from_rev, null, null) s;
    if v_broken is not null then
      raise exception 'the feed cannot be read from this rev' using
        errcode = 'PT410',
        detail = v_broken,
        hint = 'Begin at 0, or at publish_head() for what comes from now on.';
    end if;
  end if;
  insert into publish.subscription as s
    (name, sink, options, kinds, lanes, max_attempts, backoff_min, backoff_max, lease, base,
     tombstones_after)
  values (publish_subscribe.name, publish_subscribe.sink, publish_subscribe.options,
          publish_subscribe.kinds, publish_subscribe.lanes, publish_subscribe.max_attempts,
          publish_subscribe.backoff_min, publish_subscribe.backoff_max, publish_subscribe.lease,
          case when publish_subscribe.from_rev = 0 then v_head end,
          case when publish_subscribe.from_rev = 0 then coalesce(v_head, 0) else 0 end)
  on conflict on constraint name_is_unique do update
     set sink = excluded.sink, options = excluded.options, kinds = excluded.kinds,
         lanes = excluded.lanes, max_attempts = excluded.max_attempts,
         backoff_min = excluded.backoff_min, backoff_max = excluded.backoff_max,
         lease = excluded.lease, updated_at = clock_timestamp()
  returning s.* into v_new;
  if v_old.lanes is distinct from v_new.lanes then
    perform publish.set_cursor(
      v_new.subscription_id, v_new.lanes,
      coalesce((select min(l.cursor)
                  from publish.lane_cursors(v_new.subscription_id) l), publish_subscribe.from_rev));
  end if;
  delete from publish.parked k
   using publish.published p
   where k.subscription_id = v_new.subscription_id and p.pub_id = k.pub_id
     and p.kind <> all (v_new.kinds);
end
$$;
comment on function public.publish_subscribe(
  text, text, jsonb, text[], bigint, int, int, interval, interval, interval) is
  'Has workers push the feed to a sink (webhook, redis, nats, rabbitmq, kafka, sqs, stdout), at '
  'least once, each key''s newest change, in order per key. kinds: only these. from_rev: where a '
  'new subscription begins; 0 is everything, publish_head() what comes from now on. lanes: for as '
  'many workers. A failure waits a random time up to backoff_min, doubled each time up to '
  'backoff_max; after max_attempts it is a dead letter. lease: when a silent worker is given up. '
  'Again: changes the settings and goes on. Errors: PT404 unknown kind or sink, PT400 bad '
  'argument or unknown option, PT410 from_rev is above the head or pruned.';
revoke all on function public.publish_subscribe(
  text, text, jsonb, text[], bigint, int, int, interval, interval, interval) from public;
grant execute on function public.publish_subscribe(
  text, text, jsonb, text[], bigint, int, int, interval, interval, interval) to publish_admin;
