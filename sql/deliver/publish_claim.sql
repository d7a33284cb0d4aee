-- Holds the lane's row lock for this call only; what lasts is the lease. A lane somebody is just
-- claiming is skipped. READ COMMITTED gives each statement a snapshot taken after that lock. When
-- nothing is claimed, nothing is written, but for a cursor that steps over what is not for it.
-- What failed before comes last, so that an endpoint which is given up on has had all the others.
-- Plans are pinned to indexes that give the order: they are made while nothing is parked.
create or replace function public.publish_claim(
  subscription text,
  worker text,
  batch int default 100
) returns table (
  token bigint, lane int, lease_until timestamptz, id text, source text, rev bigint, kind text,
  pub_id uuid, schema_version int, deleted boolean, payload jsonb, headers jsonb, attempts int,
  updated_at timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_subscription publish.subscription := publish.check_subscription(publish_claim.subscription);
  v_lane int;
  v_state publish.batch;
  v_head bigint;
  v_broken text;
  v_now timestamptz;
  v_limit int;
  v_due int;
  v_untried boolean;
  v_source text;
  v_epoch publish.epoch;
begin
  if coalesce(publish_claim.batch, 0) < 1 or coalesce(publish_claim.worker, '') = '' then
    raise exception 'batch must be 1 or more, and a worker has a name' using
      errcode = 'PT400',
      detail = format('batch %s, worker %L', coalesce(publish_claim.batch::text, 'null'),
                      publish_claim.worker),
      hint = 'Pass who you are, such as host and process, and how many changes you take at most.';
  end if;
  perform publish.check_read_committed('publish_claim', 'the lane''s lock');
  if v_subscription.paused_at is not null or v_subscription.disabled_at is not null then
    return;
  end if;
  v_source := coalesce(v_subscription.options ->> 'source', '/pgpublish/' || current_database());

  select e.* into v_epoch from publish.epoch e order by e.epoch_no desc limit 1;

  -- The lane that was served longest ago comes first.
  for v_lane in
    select l.lane
      from publish.lane l
     cross join lateral (
       select b.token, b.settled_at, b.lease_until, b.resume_at
         from publish.batch b
        where b.subscription_id = l.subscription_id and b.lane = l.lane
        order by b.token desc
        limit 1
     ) b
     where l.subscription_id = v_subscription.subscription_id
       and (b.settled_at is not null or b.lease_until <= clock_timestamp())
       and (b.resume_at <= clock_timestamp()) is not false
     order by b.token
  loop
    perform from publish.lane l
      where l.subscription_id = v_subscription.subscription_id and l.lane = v_lane
        for no key update skip locked;
    continue when not found;
    -- As it is now: lanes, kinds and pauses change under the same lock.
    v_subscription := publish.check_subscription(publish_claim.subscription);
    select b.* into v_state
      from publish.batch b
     where b.subscription_id = v_subscription.subscription_id and b.lane = v_lane
     order by b.token desc
     limit 1;
    v_now := clock_timestamp();
    continue when v_state.settled_at is null and v_state.lease_until > v_now
               or v_state.resume_at > v_now
               or v_subscription.paused_at is not null or v_subscription.disabled_at is not null;
    if v_state.settled_at is not null then
      v_state.cursor := v_state.cursor_to;
      v_state.retried_to := v_state.retry_to;
    end if;
    select s.head, s.broken into v_head, v_broken
      from publish.cursor_state(since => v_state.cursor, base => v_subscription.base,
                                epoch => null, kinds => v_subscription.kinds) s;
    if v_broken is not null then
      raise exception 'this subscription cannot go on' using
        errcode = 'PT410',
        detail = format('subscription %L, lane %s: %s', v_subscription.name, v_lane, v_broken),
        hint = format('Have its consumer drop what it holds, and send all again: '
                      'select publish_seek(%L, 0)', v_subscription.name);
    end if;
    -- To an endpoint that failed goes one change, and one that failed before only if nothing else
    -- is there: what fails for its own sake delays nothing else.
    v_limit := case when v_state.failures > 0 then 1 else publish_claim.batch end;
    v_due := (v_limit + 1) / 2;
    if v_state.failures > 0 and exists (
      select from publish.next_changes(subscription => v_subscription, lane => v_lane,
                                       cursor => v_state.cursor, head => v_head, batch => 1)
    ) then
      v_due := 0;
    end if;
    v_untried := v_state.failures > 0 and v_due > 0 and exists (
      select
        from publish.parked k
       where k.subscription_id = v_subscription.subscription_id and k.lane = v_lane
         and k.next_attempt_at >= v_state.retried_to and k.next_attempt_at <= v_now
         and k.first_failed_at is null);
    update publish.parked k
       set class = 'pruned', next_attempt_at = null,
           message = 'the change was pruned before it could be sent'
     where k.subscription_id = v_subscription.subscription_id
       and k.pub_id = any (array(
         select d.pub_id
           from publish.parked d
          where d.subscription_id = v_subscription.subscription_id and d.lane = v_lane
            and d.next_attempt_at >= v_state.retried_to and d.next_attempt_at <= v_now
            and (not v_untried or d.first_failed_at is null)
          order by d.next_attempt_at
          limit v_due))
       and not exists (select from publish.published p where p.pub_id = k.pub_id);

    return query
      with due as materialized (
        select k.pub_id, k.attempts, k.next_attempt_at, k.first_failed_at is not null as again
          from publish.parked k
         where k.subscription_id = v_subscription.subscription_id and k.lane = v_lane
           and k.next_attempt_at >= v_state.retried_to and k.next_attempt_at <= v_now
           and (not v_untried or k.first_failed_at is null)
         order by k.next_attempt_at
         limit v_due
      ),
      item as (
        select p.rev, p.kind, p.pub_id, p.schema_version, p.deleted, p.payload, p.headers,
               p.updated_at, d.attempts, true as held, d.again, d.next_attempt_at
          from due d
         cross join lateral (
           select p.*
             from publish.published p
            where p.pub_id >= d.pub_id and p.pub_id <= d.pub_id
            order by p.pub_id, p.rev desc
            limit 1
         ) p
        union all
        select p.rev, p.kind, p.pub_id, p.schema_version, p.deleted, p.payload, p.headers,
               p.updated_at, coalesce(k.attempts, 0), k.pub_id is not null,
               k.first_failed_at is not null, null
          from (
            select n.*
              from publish.next_changes(subscription => v_subscription, lane => v_lane,
                                        cursor => v_state.cursor, head => v_head,
                                        batch => v_limit) n
             order by n.rev
             limit v_limit - (select count(*) from due)
          ) p
          left join lateral (
            select k.pub_id, k.attempts, k.first_failed_at
              from publish.parked k
             where k.subscription_id = v_subscription.subscription_id and k.pub_id = p.pub_id
             limit 1
          ) k on true
      ),
      sized as materialized (
        select i.*, row_number() over w = 1
               or sum(case when i.payload is null
                             or pg_column_size(i.payload) < 2000
                                and pg_column_compression(i.payload) is null then 0
                           else octet_length(i.payload::text) end) over w
                  <= 32 * 1024 * 1024 as fits
          from item i
        window w as (order by i.next_attempt_at, i.rev rows unbounded preceding)
      ),
      extent as (
        select (select count(*) from due) as due,
               count(*) filter (where not z.fits) as left_over,
               count(*) filter (where z.fits) as claimed,
               count(z.next_attempt_at) as retries,
               count(*) filter (where z.fits and z.next_attempt_at is null) as fresh,
               max(z.rev) filter (where z.fits and z.next_attempt_at is null) as last_rev,
               max(z.next_attempt_at) filter (where z.fits) as last_retry,
               coalesce(array_agg(z.pub_id) filter (where z.fits and z.held), '{}') as held_ids
          from sized z
      ),
      claimed as (
        insert into publish.batch as b
          (subscription_id, lane, worker, cursor, cursor_to, retried_to, retry_to, held_ids,
           claimed, failures, lease_until, sent, failed, dead, settled_at)
        select v_subscription.subscription_id, v_lane,
               case when e.claimed > 0 then publish_claim.worker end, v_state.cursor,
               case when e.left_over > 0 or e.fresh >= v_limit - e.due
                    then coalesce(e.last_rev, v_state.cursor) else v_head end,
               v_state.retried_to,
               case when e.retries < e.due or v_untried then v_state.retried_to
                    when e.left_over > 0 or e.due >= v_due
                    then coalesce(e.last_retry, v_state.retried_to) else v_now end,
               e.held_ids, e.claimed, v_state.failures,
               case when e.claimed > 0 then v_now + v_subscription.lease end,
               case when e.claimed = 0 then 0 end, case when e.claimed = 0 then 0 end,
               case when e.claimed = 0 then 0 end, case when e.claimed = 0 then v_now end
          from extent e
         where e.claimed > 0 or v_head > v_state.cursor
        returning b.token, b.lane, b.lease_until
      )
      select c.token, c.lane, c.lease_until,
             case when z.rev > v_epoch.first_rev then v_epoch.epoch else (
               select e.epoch
                 from publish.epoch e
                where e.first_rev < z.rev
                order by e.epoch_no desc
                limit 1
             ) end || '/' || z.rev, v_source, z.rev,
             z.kind, z.pub_id, z.schema_version, z.deleted, z.payload, z.headers, z.attempts,
             z.updated_at
        from sized z
       cross join claimed c
       where z.fits
       order by z.again, z.next_attempt_at, z.rev;
    if found then
      return;
    end if;
  end loop;
end
$$;
comment on function public.publish_claim(text, text, int) is
  'Leases a lane of the subscription that has something to send, and returns its next changes, at '
  'most batch, half of them retries that are due, each key once, and what failed before last; all '
  'with the token to settle them by. '
  'id is the message''s: the epoch in which the change was published, and its rev. attempts: '
  'failures so far. No rows: nothing to do now, or paused, or leased. After a batch in which the '
  'endpoint failed, a batch is one change. '
  'Errors: PT404 no such subscription, PT410 its position is below the retention floor, PT400 bad '
  'argument, or not READ COMMITTED.';
revoke all on function public.publish_claim(text, text, int) from public;
grant execute on function public.publish_claim(text, text, int) to publish_worker, publish_admin;
