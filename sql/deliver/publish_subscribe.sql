-- Whatever is null stays as it is: who changes one setting must not lose another, such as the kinds
-- that a consumer may see. With another number of lanes every lane goes on from the slowest one:
-- some changes are sent twice, none is missed.
create or replace function public.publish_subscribe(
  name text,
  sink text,
  options jsonb default null,
  kinds text[] default null,
  from_rev bigint default null,
  lanes int default null,
  max_attempts int default null,
  backoff_min interval default null,
  backoff_max interval default null,
  lease interval default null
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_old publish.subscription;
  v_new publish.subscription;
  v_from bigint := coalesce(publish_subscribe.from_rev, 0);
  v_head bigint;
  v_broken text;
begin
  if coalesce(octet_length(publish_subscribe.name), 0) not between 1 and 200 then
    raise exception 'a subscription has a name of 1 to 200 bytes' using
      errcode = 'PT400',
      detail = format('name %L', left(publish_subscribe.name, 60)),
      hint = 'Name it after its consumer, such as ''search''.';
  end if;
  if exists (select from publish.subscription s where s.name = publish_subscribe.name) then
    v_old := publish.lock_subscription(publish_subscribe.name);
  end if;
  v_new.lanes := coalesce(publish_subscribe.lanes, v_old.lanes, 1);
  v_new.max_attempts := coalesce(publish_subscribe.max_attempts, v_old.max_attempts, 15);
  v_new.backoff_min := coalesce(publish_subscribe.backoff_min, v_old.backoff_min, '1 second');
  v_new.backoff_max := coalesce(publish_subscribe.backoff_max, v_old.backoff_max,
                                greatest('1 hour', v_new.backoff_min));
  v_new.lease := coalesce(publish_subscribe.lease, v_old.lease, '1 minute');
  v_new.kinds := nullif(coalesce(publish_subscribe.kinds, v_old.kinds), '{*}');
  if (v_new.lanes between 1 and 256 and v_new.max_attempts > 0
      and v_new.backoff_min > interval '0' and v_new.backoff_max >= v_new.backoff_min
      and v_new.backoff_max <= interval '1 year'
      and v_new.lease > interval '0' and v_new.lease <= interval '1 day'
      and v_from >= 0 and cardinality(v_new.kinds) is distinct from 0) is not true then
    raise exception 'a setting is out of its range' using
      errcode = 'PT400',
      detail = format('lanes %s, max_attempts %s, backoff_min %s, backoff_max %s, lease %s, '
                      'from_rev %s, kinds %s', v_new.lanes, v_new.max_attempts,
                      v_new.backoff_min, v_new.backoff_max, v_new.lease, v_from, v_new.kinds),
      hint = 'Use lanes 1 to 256, attempts and waits above 0, backoff_min up to backoff_max, a '
             'lease of at most a day, from_rev 0 or more, and kinds ''{*}'' for all.';
  end if;
  perform publish.check_kind(k.kind) from unnest(v_new.kinds) as k (kind);
  v_new.options := coalesce(publish_subscribe.options, '{}');
  if jsonb_typeof(v_new.options) = 'object' then
    select coalesce(jsonb_object_agg(o.key, o.value), '{}') into v_new.options
      from jsonb_each(case when v_old.sink = publish_subscribe.sink then v_old.options
                           else '{}' end || v_new.options) as o
     where o.value <> 'null';
  end if;
  perform publish.check_sink(publish_subscribe.sink, v_new.options);

  if v_old.subscription_id is null then
    select s.head, s.broken into v_head, v_broken from publish.cursor_state(v_from, null, null) s;
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
  values (publish_subscribe.name, publish_subscribe.sink, v_new.options, v_new.kinds, v_new.lanes,
          v_new.max_attempts, v_new.backoff_min, v_new.backoff_max, v_new.lease,
          case when v_from = 0 then v_head end,
          case when v_from = 0 then coalesce(v_head, 0) else 0 end)
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
                  from publish.lane_cursors(v_new.subscription_id) l), v_from));
  end if;
  delete from publish.parked k
   using publish.published p
   where k.subscription_id = v_new.subscription_id and p.pub_id = k.pub_id
     and p.kind <> all (v_new.kinds);
  perform pg_notify('publish', public.publish_head()::text);
end
$$;
comment on function public.publish_subscribe(
  text, text, jsonb, text[], bigint, int, int, interval, interval, interval) is
  'Has workers push the feed to a sink (webhook, redis, nats, rabbitmq, kafka, sqs, stdout), at '
  'least once, each key''s newest change, in order per key. kinds: only these, {*} for all, which '
  'is the default. from_rev: where a new subscription begins; 0, the default, is everything, '
  'publish_head() what comes from now on. lanes (1): for as many workers. A failure waits a random '
  'time up to backoff_min (1 s), doubled each time up to backoff_max (1 h); after max_attempts '
  '(15) it is a dead letter. lease (1 min): when a silent worker is given up. Again: changes what is '
  'given, keeps the rest, and goes on; options are merged by name, null removes one, another sink '
  'begins without any. Errors: PT404 unknown kind or sink, PT400 bad argument or unknown option, '
  'PT410 from_rev is above the head or pruned.';
revoke all on function public.publish_subscribe(
  text, text, jsonb, text[], bigint, int, int, interval, interval, interval) from public;
grant execute on function public.publish_subscribe(
  text, text, jsonb, text[], bigint, int, int, interval, interval, interval) to publish_admin;
