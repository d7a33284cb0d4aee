-- Idempotent: a worker that lost the answer settles again and gets it again. Locks in the order of
-- publish.lock_subscription.
create or replace function public.publish_settle(
  token bigint,
  failed jsonb default '[]',
  out sent int,
  out parked int,
  out dead int,
  out resume_at timestamptz,
  out disabled boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_batch publish.batch;
  v_subscription publish.subscription;
  v_failed jsonb := coalesce(publish_settle.failed, '[]');
  v_now timestamptz;
  v_strange text;
  v_answered int;
  v_endpoint int;
  v_unknown int;
  v_first int;
  v_failing boolean;
  v_again boolean;
  v_floor timestamptz;
  v_retry_after float8;
begin
  if jsonb_typeof(v_failed) <> 'array' or exists (
    select
      from jsonb_array_elements(v_failed) as f (item)
     where jsonb_typeof(f.item) <> 'object'
        or coalesce(f.item ->> 'pub_id', '') !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        or coalesce(f.item ->> 'rev', '') !~ '^[0-9]{1,18}$'
        or coalesce(f.item ->> 'class', '')
           not in ('encoding', 'endpoint', 'rejected', 'gone', 'unknown', 'unsent')
        or coalesce(jsonb_typeof(f.item -> 'retry_after'), 'null') not in ('number', 'null')
  ) then
    raise exception 'failed must say of each change what failed' using
      errcode = 'PT400',
      detail = left(v_failed::text, 300),
      hint = 'Pass [{"pub_id": …, "rev": …, "class": …, "message": …, "retry_after": seconds}] '
             'with a class of encoding, endpoint, rejected, gone, unknown or unsent.';
  end if;
  if v_failed @> '[{"class": "gone"}]' then
    perform from publish.subscription s
      where s.subscription_id = (select b.subscription_id
                                   from publish.batch b
                                  where b.token = publish_settle.token)
        for no key update;
  end if;
  v_batch := publish.held_batch(publish_settle.token, locked => true);
  select s.* into v_subscription
    from publish.subscription s
   where s.subscription_id = v_batch.subscription_id;
  v_now := greatest(clock_timestamp(), v_batch.retry_to);

  if v_batch.settled_at is null and v_failed = '[]' and v_batch.held_ids = '{}' then
    update publish.batch b
       set settled_at = clock_timestamp(), sent = b.claimed, failed = 0, dead = 0, failures = 0
     where b.token = v_batch.token
    returning b.* into v_batch;
  elsif v_batch.settled_at is null then
    -- A change of the batch is a retry, or at a rev that it covers, which no other key has.
    select string_agg(format('%s at rev %s', f.pub_id, f.rev), ', ') into v_strange
      from jsonb_to_recordset(v_failed) as f (pub_id uuid, rev bigint)
     where f.pub_id not in (select h.pub_id from unnest(v_batch.held_ids) as h (pub_id))
       and (f.rev not between v_batch.cursor + 1 and v_batch.cursor_to
            or publish.lane_of(f.pub_id, v_subscription.lanes) <> v_batch.lane
            or (select p.pub_id from publish.published p where p.rev = f.rev) <> f.pub_id);
    if v_strange is not null then
      raise exception 'failed names changes that are not in this batch' using
        errcode = 'PT400',
        detail = left(v_strange, 300),
        hint = 'Settle again with those that publish_claim gave; nothing was changed.';
    end if;
    with failure as materialized (
      select distinct on (f.pub_id)
             f.pub_id, f.rev, f.class, left(coalesce(f.message, ''), 1000) as message,
             case when f.retry_after is not null
                  then least(greatest(f.retry_after, 0), 86400) end as retry_after
        from jsonb_to_recordset(v_failed)
               as f (pub_id uuid, rev bigint, class text, message text, retry_after float8)
       order by f.pub_id, f.rev desc
    ),
    held as materialized (
      select f.*, coalesce(k.attempts, 0) as before, k.first_failed_at is null as first
        from failure f
        left join publish.parked k
               on k.subscription_id = v_batch.subscription_id and k.pub_id = f.pub_id
    ),
    known as materialized (
      select h.*,
             h.before + case
               when h.class = 'unsent' then 0
               when h.class = 'endpoint'
                    and (h.retry_after is not null
                         or count(*) filter (where h.class not in ('rejected', 'gone')) over ()
                            >= v_batch.claimed)
                 then (row_number() over (
                   partition by h.class order by h.before, h.rev) = 1)::int
               else 1 end as attempts
        from held h
    ),
    delivered as (
      delete from publish.parked k
       where k.subscription_id = v_batch.subscription_id
         and k.pub_id = any (array(
           select h.pub_id from unnest(v_batch.held_ids) as h (pub_id)
           except
           select f.pub_id from failure f))
    ),
    kept as (
      insert into publish.parked as k
        (subscription_id, pub_id, lane, rev, class, message, attempts, first_failed_at,
         last_failed_at, next_attempt_at)
      select v_batch.subscription_id, f.pub_id, v_batch.lane, f.rev, f.class, f.message, f.attempts,
             case when f.class <> 'unsent' then v_now end,
             case when f.class <> 'unsent' then v_now end,
             case when f.class in ('unsent', 'gone') then v_now
                  when f.attempts < v_subscription.max_attempts then v_now + greatest(
                    publish.backoff(attempts => greatest(f.attempts, 1),
                                    backoff_min => v_subscription.backoff_min,
                                    backoff_max => v_subscription.backoff_max),
                    f.retry_after * interval '1 second') end
        from known f
       where v_subscription.kinds is null or not exists (
               select
                 from publish.published p
                where p.pub_id = f.pub_id and p.kind <> all (v_subscription.kinds))
      on conflict on constraint parked_pkey do update
         set rev = excluded.rev, attempts = excluded.attempts,
             class = case when excluded.class = 'unsent' then k.class else excluded.class end,
             message = case when excluded.class = 'unsent' then k.message
                            else excluded.message end,
             first_failed_at = coalesce(k.first_failed_at, excluded.first_failed_at),
             last_failed_at = coalesce(excluded.last_failed_at, k.last_failed_at),
             next_attempt_at = excluded.next_attempt_at
      returning k.next_attempt_at is null as dead
    )
    select (select count(*) from failure), (select count(*) from kept k where k.dead),
           (select count(*) from failure f where f.class not in ('unsent', 'encoding', 'endpoint')),
           (select count(*) from failure f where f.class = 'endpoint'),
           (select count(*) from failure f where f.class = 'unknown'),
           (select count(*) from held h where h.first and h.class in ('endpoint', 'unknown')),
           (select max(f.retry_after) from failure f where f.class = 'endpoint')
      into publish_settle.parked, publish_settle.dead, v_answered, v_endpoint, v_unknown,
           v_first, v_retry_after;

    publish_settle.sent := greatest(v_batch.claimed - publish_settle.parked, 0);
    -- A refusal says nothing of the endpoint. Nor does what nobody can explain, but where nothing
    -- else came of the batch. What failed before may fail for its own sake: where others were sent
    -- it has no lane wait. Alone it may also be an outage: then all that failed before waits,
    -- longer each time, and comes in turns, so that a night costs few attempts; others do not wait.
    v_failing := v_endpoint > 0 or v_unknown > 0 and publish_settle.sent = 0;
    v_again := v_failing and v_first = 0;
    v_batch.failures := case
      when v_failing and (v_first > 0 or publish_settle.sent = 0) then v_batch.failures + 1
      when v_failing and v_retry_after is not null then greatest(v_batch.failures, 1)
      when v_answered + publish_settle.sent > 0 then 0
      else v_batch.failures end;
    if v_failing and v_batch.failures > 0 then
      v_batch.resume_at := v_now + greatest(
        publish.backoff(attempts => case when v_again then 1 else v_batch.failures end,
                        backoff_min => v_subscription.backoff_min,
                        backoff_max => v_subscription.backoff_max),
        v_retry_after * interval '1 second');
    end if;
    if v_again and publish_settle.sent = 0 then
      v_floor := v_now + publish.backoff(attempts => v_batch.failures,
                                         backoff_min => v_subscription.backoff_min,
                                         backoff_max => v_subscription.backoff_max);
      update publish.parked k
         set next_attempt_at = v_floor + k.attempts * interval '1 millisecond'
       where k.subscription_id = v_batch.subscription_id and k.lane = v_batch.lane
         and k.next_attempt_at < v_floor + k.attempts * interval '1 millisecond'
         and k.class in ('endpoint', 'unknown') and k.first_failed_at is not null;
    end if;
    update publish.batch b
       set settled_at = clock_timestamp(), sent = publish_settle.sent,
           failed = publish_settle.parked, dead = publish_settle.dead,
           failures = v_batch.failures, resume_at = v_batch.resume_at
     where b.token = v_batch.token
    returning b.* into v_batch;
    if v_failed @> '[{"class": "gone"}]' then
      update publish.subscription s
         set disabled_at = clock_timestamp(),
             disabled_reason = coalesce(
               (select nullif(left(f.item ->> 'message', 1000), '')
                  from jsonb_array_elements(v_failed) as f (item)
                 where f.item ->> 'class' = 'gone'
                 limit 1), 'the endpoint is gone')
       where s.subscription_id = v_batch.subscription_id and s.disabled_at is null;
      v_subscription.disabled_at := clock_timestamp();
    end if;
  end if;
  publish_settle.sent := v_batch.sent;
  publish_settle.parked := v_batch.failed;
  publish_settle.dead := v_batch.dead;
  publish_settle.resume_at := v_batch.resume_at;
  publish_settle.disabled := v_subscription.disabled_at is not null;
end
$$;
comment on function public.publish_settle(bigint, jsonb) is
  'Ends a batch: what is not listed as failed was delivered, and the cursor moves. failed: '
  '[{"pub_id", "rev", "class", "message", "retry_after"}] with a class of encoding, endpoint '
  '(refused, timeout, 5xx, 429), rejected (other 4xx), gone (410: disables the subscription), '
  'unknown, or unsent (not tried: comes again, no attempt counted). Each is parked for a retry, '
  'unless its kind was taken out meanwhile; the others do not wait for it; after max_attempts it '
  'is a dead letter. Where the endpoint '
  'failed, the lane waits as well, for retry_after or longer, and the longer the more batches in a '
  'row failed; where only what failed before did, that waits so, and the lane little. Where it '
  'asked for time or took nothing of the batch, of those it failed only the one tried least has an '
  'attempt counted. Errors: PT409 the batch is no longer yours; PT400 bad argument, or a change '
  'that is not in the batch. Then nothing was changed.';
revoke all on function public.publish_settle(bigint, jsonb) from public;
grant execute on function public.publish_settle(bigint, jsonb) to publish_worker, publish_admin;
