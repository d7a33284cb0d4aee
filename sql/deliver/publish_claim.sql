-- Holds the lane's row lock for this call only; what lasts is the lease. A lane that somebody is
-- claiming is skipped. When nothing is claimed, nothing is written, but for a cursor that steps
-- over what is not for it. Plans are pinned to indexes that give the order: they are made while
-- nothing is parked.
create or replace function public.publish_claim(
  subscription text,
  worker text,
  batch int default 100
) returns table (
  token bigint, lane int, lease_until timestamptz, part text, id text, source text, sequence text,
  rev bigint, kind text, pub_id uuid, key text, schema_version int, deleted boolean, payload jsonb,
  headers jsonb, attempts int, updated_at timestamptz
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
  v_subscription publish.subscription;
  v_source text;
  v_state publish.state;
  v_ask publish.ask;
  v_head bigint := public.publish_head();
  v_lane int;
  v_ids record;
  v_shown text[] := publish.shown_keys();
begin
  perform publish.check_claim(publish_claim.worker, publish_claim.batch);
  v_subscription := publish.claimable(publish_claim.subscription);
  v_source := coalesce(v_subscription.options ->> 'source',
                       '/pgpublish/' || current_database());
  -- The lane that was served longest ago comes first.
  for v_lane in
    select l.lane
      from publish.lane_now l
     where l.subscription_id = v_subscription.subscription_id
       and not (l.is_open and l.lease_until > clock_timestamp())
       and (l.cursor <> v_head or v_subscription.reset_rev is not null
            or exists (select
                         from publish.next_retries(state => row(l.*)::publish.state,
                                                   now => clock_timestamp(), size => 1)))
     order by l.token
  loop
    v_state := publish.lock_lane(v_subscription.subscription_id, v_lane);
    -- As it is now: lanes, kinds and pauses change under the same lock.
    v_subscription := publish.check_subscription(publish_claim.subscription);
    v_state := publish.heed_lost(v_subscription, v_state);
    v_ask := publish.next_ask(subscription => v_subscription, state => v_state,
                              worker => publish_claim.worker, batch => publish_claim.batch);
    v_ids := publish.message_ids(v_subscription);
    if v_ask.part = 'retries' then
      perform publish.prune_retries(v_state, v_ask);
    end if;
    return query
      select o.token, v_lane, o.lease_until, v_ask.part,
             case when v_ask.part = 'control' then o.kind || '/' || v_subscription.life
                  else v_ids.beginnings[width_bucket(o.rev - 1, v_ids.first_revs)] || o.rev end,
             v_source, lpad(v_subscription.life::text, 10, '0') || lpad(o.rev::text, 19, '0'),
             o.rev, o.kind, o.pub_id,
             case when v_subscription.key or o.kind = any (v_shown) then o.source_id end,
             o.schema_version, o.deleted, o.payload, o.headers, o.attempts, o.updated_at
        from (select c.*
                from publish.open_control(subscription => v_subscription, state => v_state,
                                          ask => v_ask) c
               where v_ask.part = 'control'
              union all
              select b.*
                from publish.open_batch(subscription => v_subscription, state => v_state,
                                        ask => v_ask) b) o
       order by o.place;
    if found then
      perform publish.flush_at_commit();
      return;
    end if;
    if v_ask.part = 'fresh' and not v_state.is_open and v_subscription.filter is null then
      perform publish.step_lane(v_state, v_ask.head);
    end if;
  end loop;
end
$$;
comment on function public.publish_claim(text, text, int) is
  'Leases a lane of the subscription that has something to send, and returns its next changes, at '
  'most batch, each key once, with the token to settle them by. part: fresh (all are new), '
  'retries (all failed before; these two alternate) or control: one event of kind pgpublish.reset '
  'or pgpublish.resynced, with the nil uuid as pub_id. id is the message''s: the epoch in which '
  'the change was published, and its rev. sequence compares as text: what is not above that which '
  'a consumer holds of a subject is old. key: the source key, if the subscription or the kind '
  'says so. attempts: failures so far. No rows: nothing to do now, or paused, or leased. After a '
  'batch that the endpoint answered with nothing, a batch is one change. Errors: PT404 no such '
  'subscription, PT410 its position is below the retention floor, PT400 bad argument, or not READ '
  'COMMITTED.';
revoke all on function public.publish_claim(text, text, int) from public;
grant execute on function public.publish_claim(text, text, int) to publish_worker, publish_admin;
