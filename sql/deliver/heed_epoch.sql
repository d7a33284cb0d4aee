-- Called under the locks of publish.lock_subscription. A start or a crash of the server loses
-- nothing that was sent: publish_claim flushes what it read before it returns.
create or replace function publish.heed_epoch(subscription publish.subscription) returns void
language plpgsql
as $$
declare
  v_newest int := publish.newest_break();
  v_is_promoted boolean;
  v_copied text; -- or moved
begin
  if (heed_epoch.subscription).epoch_no >= v_newest then
    return;
  end if;
  select coalesce(bool_or(e.cause = 'promotion'), false),
         max(e.cause) filter (where e.cause in ('moved', 'copied'))
    into v_is_promoted, v_copied
    from publish.epoch e
   where e.epoch_no > (heed_epoch.subscription).epoch_no;
  update publish.subscription s
     set epoch_no = v_newest
   where s.subscription_id = (heed_epoch.subscription).subscription_id;
  if v_is_promoted and (heed_epoch.subscription).on_reset = 'resync' then
    perform publish.resync(heed_epoch.subscription);
  end if;
  -- The reason is told also to who has paused it before: resuming means more than it did.
  if v_copied is not null or v_is_promoted and (heed_epoch.subscription).on_reset = 'pause' then
    update publish.subscription s
       set paused_at = coalesce(s.paused_at, clock_timestamp()),
           paused_reason = case when v_copied is null
             then 'the server was promoted or restored to a point in time: what was delivered may '
               'be lost'
             else format('this database was %s: its original may send to the same endpoint',
                         v_copied) end
             || '; call publish_resume to continue, or publish_resync first to send everything'
     where s.subscription_id = (heed_epoch.subscription).subscription_id;
  end if;
end
$$;
comment on function publish.heed_epoch(publish.subscription) is
  'Does what an epoch that this subscription has not seen asks for: after a promotion as its '
  'on_reset says; in a moved or copied database it is paused.';
revoke all on function publish.heed_epoch(publish.subscription) from public;
