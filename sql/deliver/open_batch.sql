-- What is left over by its size is the next batch's, and so is what comes after a pruned retry.
-- Of a page of which a filter leaves nothing, the batch is settled as it is written.
create or replace function publish.open_batch(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns setof publish.message
language plpgsql
rows 100
as $$
declare
  v_of publish.subscription := open_batch.subscription;
  v_state publish.state := open_batch.state;
  v_ask publish.ask := open_batch.ask;
begin
  for v_page in 1 .. 100 loop -- of a filter that takes little, one claim tries no more
    return query
      with sized as materialized (
        select i.*, row_number() over w as place,
               i.rev is not null
               and (row_number() over w = 1
                    or sum(publish.text_bytes(i.payload)) over w <= 32 * 1024 * 1024) as fits
          from publish.page_items(subscription => v_of, state => v_state, ask => v_ask) i
        window w as (order by i.next_attempt_at, i.rev rows unbounded preceding)
      ),
      extent as (
        select count(*) filter (where z.fits and not z.is_skipped) as claimed,
               count(*) < v_ask.size and bool_and(z.fits) as is_all,
               max(z.rev) filter (where z.fits) as last_rev,
               max(z.next_attempt_at) filter (where z.fits) as last_at,
               array_agg(z.parked_id) filter (where z.fits and z.parked_id is not null) as parked
          from sized z
      ),
      opened as (
        insert into publish.batch as b
          (subscription_id, lane, worker, part, parked_ids, claimed, cursor, cursor_to, retried_to,
           retry_to, fresh_failures, fresh_due_at, retries_failures, retries_due_at, answered_at,
           lease_until, sent, settled_at, moments)
        select v_state.subscription_id, v_state.lane, v_ask.worker, v_ask.part,
               coalesce(e.parked, '{}'), e.claimed, v_state.cursor,
               case when v_ask.part = 'retries' then v_state.cursor
                    when e.is_all then v_ask.head else e.last_rev end,
               v_state.retried_to,
               case when v_ask.part = 'fresh' then v_state.retried_to
                    when e.is_all then v_ask.now else e.last_at end,
               v_state.fresh_failures, v_state.fresh_due_at, v_state.retries_failures,
               v_state.retries_due_at, v_state.answered_at,
               v_ask.now + v_of.lease, s.sent, s.settled_at, array(
                 select row(min(z.rev), z.updated_at, count(*))::publish.moment
                   from sized z
                  where z.fits and not z.is_skipped
                  group by z.updated_at
                  order by min(z.rev))
          from extent e
          left join (select 0 as sent, v_ask.now as settled_at) s on e.claimed = 0
         where e.claimed > 0 or e.last_rev is not null
        returning b.token, b.lease_until
      )
      select o.token, o.lease_until, z.place, z.rev, z.kind, z.pub_id, z.source_id,
             z.schema_version, z.deleted, z.payload, z.headers, z.updated_at, z.attempts
        from sized z
       cross join opened o
       where z.fits and not z.is_skipped;
    exit when found or v_of.filter is null;
    v_state := publish.next_page(v_state, v_ask);
    exit when v_state.token is null;
  end loop;
end
$$;
comment on function publish.open_batch(publish.subscription, publish.state, publish.ask) is
  'Leases a locked lane''s next changes, or its next retries, each key once, at most 32 MB of '
  'payload. No rows: there are none.';
revoke all on function publish.open_batch(publish.subscription, publish.state, publish.ask)
  from public;
