create or replace function public.publish_resync(subscription text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform publish.resync(publish.lock_subscription(publish_resync.subscription));
  perform pg_notify('publish', public.publish_head()::text);
end
$$;
comment on function public.publish_resync(text) is
  'Has the consumer made exact again after data was lost: tells it so (pgpublish.reset), sends '
  'everything in a new life, and says when that is done (pgpublish.resynced). Ends a pause by the '
  'database. A batch in flight can no longer be settled. Errors: PT404 there is no such '
  'subscription.';
revoke all on function public.publish_resync(text) from public;
grant execute on function public.publish_resync(text) to publish_admin;
