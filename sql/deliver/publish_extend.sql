create or replace function public.publish_extend(token bigint) returns timestamptz
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  v_batch publish.batch := publish.held_batch(publish_extend.token);
begin
  if v_batch.settled_at is not null then
    return v_batch.lease_until;
  end if;
  update publish.batch b
     set lease_until = clock_timestamp() + s.lease
    from publish.subscription s
   where b.token = v_batch.token and s.subscription_id = b.subscription_id
  returning b.lease_until into v_batch.lease_until;
  return v_batch.lease_until;
end
$$;
comment on function public.publish_extend(bigint) is
  'Renews the lease of a batch from now on, and returns until when. Errors: PT409 the batch is no '
  'longer yours: stop sending.';
revoke all on function public.publish_extend(bigint) from public;
grant execute on function public.publish_extend(bigint) to publish_worker, publish_admin;
