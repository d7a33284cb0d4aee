-- A newer change of a dead letter is tried once. Where that does not count, it begins to fail now.
create or replace function publish.park(
  batch publish.batch,
  subscription publish.subscription,
  failures publish.failure[],
  now timestamptz
) returns int
language plpgsql
as $$
declare
  v_batch publish.batch := park.batch;
  v_subscription publish.subscription := park.subscription;
  v_dead int;
begin
  with known as materialized (
    select f.*, c.keeps_place, n.counted, coalesce(k.attempts, 0) + n.counted::int as attempts,
           case when c.keeps_place then k.first_failed_at
                when k.next_attempt_at is null and not n.counted then park.now
                else coalesce(k.first_failed_at, park.now) end as first_failed_at,
           case when c.keeps_place then k.last_failed_at else park.now end as last_failed_at,
           c.counts <> 'never' and (n.counted or v_batch.part = 'retries') as backs_off
      from unnest(park.failures) as f
      join publish.failure_class c on c.class = f.class
      left join lateral publish.parked_key(v_batch.subscription_id, f.pub_id) k on true
     cross join lateral (
       select c.counts = 'always'
              or c.counts = 'if answered' and coalesce(
                v_batch.answered_at > case when v_batch.part = 'retries'
                                           then coalesce(k.last_failed_at, v_batch.claimed_at)
                                           else v_batch.claimed_at end, false) as counted
     ) n
     where v_subscription.kinds is null or not exists (
             select
               from publish.published p
              where p.pub_id >= f.pub_id and p.pub_id <= f.pub_id
                and p.kind <> all (v_subscription.kinds)
              order by p.pub_id, p.rev desc
              limit 1)
  ),
  kept as (
    insert into publish.parked as k
      (subscription_id, pub_id, lane, rev, class, message, attempts, first_failed_at,
       last_failed_at, next_attempt_at)
    select v_batch.subscription_id, f.pub_id, v_batch.lane, f.rev, f.class, f.message, f.attempts,
           f.first_failed_at, f.last_failed_at,
           case when f.keeps_place then greatest(v_batch.claimed_at, v_batch.retry_to)
                when f.counted and f.attempts >= v_subscription.max_attempts
                  or f.first_failed_at < park.now - v_subscription.give_up_after then null
                else park.now + greatest(
                  interval '1 second' * f.retry_after, interval '0',
                  case when f.backs_off and f.attempts > 0
                       then publish.backoff(attempts => f.attempts,
                                            backoff_min => v_subscription.backoff_min,
                                            backoff_max => v_subscription.backoff_max) end) end
      from known f
    on conflict on constraint parked_pkey do update
       set rev = excluded.rev, attempts = excluded.attempts,
           next_attempt_at = excluded.next_attempt_at,
           class = case when excluded.last_failed_at = park.now then excluded.class
                        else k.class end,
           message = case when excluded.last_failed_at = park.now then excluded.message
                          else k.message end,
           first_failed_at = excluded.first_failed_at, last_failed_at = excluded.last_failed_at
    returning k.next_attempt_at is null as dead
  )
  select count(*) filter (where k.dead) into v_dead from kept k;
  return v_dead;
end
$$;
comment on function publish.park(
  publish.batch, publish.subscription, publish.failure[], timestamptz) is
  'Parks what failed, unless its kind was taken out since. What counts as an attempt waits '
  'its own time; what was not tried keeps its place; the rest goes to the end of the queue. '
  'Returns how many became dead letters.';
revoke all on function publish.park(
  publish.batch, publish.subscription, publish.failure[], timestamptz) from public;
