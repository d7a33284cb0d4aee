-- A change that kills its worker (a crash in a library, memory) would kill the next one too, and
-- hold up its lane for good. A batch that was lost twice is followed by half of it (see
-- publish.next_ask) until the change is alone. Then it is to blame, and waits as any that failed.
create or replace function publish.heed_lost(
  subscription publish.subscription,
  state publish.state
) returns publish.state
language plpgsql
as $$
declare
  v_state publish.state := heed_lost.state;
  v_batch publish.batch;
  v_failures publish.failure[];
  v_ask publish.ask; -- of the batch's page, without a limit
begin
  if v_state.part = 'control' or publish.lost_size(v_state) is distinct from 1 then
    return v_state;
  end if;
  select b.* into v_batch
    from publish.batch b
   where b.token = v_state.token
     for no key update skip locked;
  if not found then
    return v_state; -- an open publish_extend has it
  end if;
  v_ask.part := 'fresh';
  v_ask.head := v_batch.cursor_to;
  select array_agg(row(c.pub_id, c.rev, 'lost', 'its worker was lost, and had nothing else', null)
                   ::publish.failure)
    into v_failures
    from (
      select n.pub_id, n.rev
        from publish.page_items(subscription => heed_lost.subscription, state => v_state,
                                ask => v_ask) n
       where v_batch.part = 'fresh' and not n.is_skipped
      union all
      select k.pub_id, k.rev
        from unnest(v_batch.parked_ids) as i (pub_id)
        join publish.parked k
          on k.subscription_id = v_batch.subscription_id and k.pub_id = i.pub_id
       where v_batch.part = 'retries'
    ) c;
  if cardinality(v_failures) is distinct from 1 then
    return v_state; -- its key, or the filter, has changed since: that is another change
  end if;
  perform publish.settle_batch(batch => v_batch, subscription => heed_lost.subscription,
                               failures => v_failures);
  select n.* into v_state
    from publish.lane_now n
   where n.subscription_id = v_state.subscription_id and n.lane = v_state.lane;
  return v_state;
end
$$;
comment on function publish.heed_lost(publish.subscription, publish.state) is
  'The state of a locked lane, once a lost batch of a single change is settled as failed.';
revoke all on function publish.heed_lost(publish.subscription, publish.state) from public;
