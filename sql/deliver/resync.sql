-- Called under the locks of publish.lock_subscription. The clock makes a life higher than any that
-- a lost timeline can have had; the one before, higher than any that was seen here.
create or replace function publish.resync(subscription publish.subscription) returns void
language plpgsql
as $$
declare
  v_head bigint := public.publish_head();
begin
  update publish.subscription s
     set life = greatest(s.life + 1, extract(epoch from clock_timestamp())::bigint),
         reset_at = clock_timestamp(), reset_rev = v_head, reset_told_at = null, base = v_head,
         tombstones_after = 0,
         paused_at = case when s.paused_reason is null then s.paused_at end, paused_reason = null
   where s.subscription_id = (resync.subscription).subscription_id;
  delete from publish.parked k
   where k.subscription_id = (resync.subscription).subscription_id;
  perform publish.set_cursor(subscription_id => (resync.subscription).subscription_id,
                             lanes => (resync.subscription).lanes, cursor => 0);
end
$$;
comment on function publish.resync(publish.subscription) is
  'Has a subscription send everything again, in a new life: pgpublish.reset, all that is published '
  'with the tombstones that are kept, pgpublish.resynced. A pause by the database ends, and dead '
  'letters are tried again.';
revoke all on function publish.resync(publish.subscription) from public;
