-- In the order of publish.lock_subscription.
create or replace function publish.lock_batch(token bigint, failures publish.failure[])
returns void
language plpgsql
as $$
declare
  v_batch publish.batch;
begin
  select b.* into v_batch from publish.batch b where b.token = lock_batch.token;
  if v_batch.part = 'control' or exists (
    select
      from unnest(lock_batch.failures) as f
      join publish.failure_class c on c.class = f.class and c.disables
  ) then
    perform from publish.subscription s
      where s.subscription_id = v_batch.subscription_id
        for no key update;
  end if;
  perform from publish.lane l
    where l.subscription_id = v_batch.subscription_id and l.lane = v_batch.lane
      for no key update;
end
$$;
comment on function publish.lock_batch(bigint, publish.failure[]) is
  'Locks the lane of a batch, and before it the subscription if settling with these failures '
  'writes that.';
revoke all on function publish.lock_batch(bigint, publish.failure[]) from public;
