-- Never waits: where an admin holds the subscription, the next report does.
create or replace function publish.report_fault(subscription text, message text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id int := (publish.check_subscription(report_fault.subscription)).subscription_id;
  v_fault text := nullif(left(report_fault.message, 1000), '');
begin
  perform from publish.subscription s
    where s.subscription_id = v_id and s.fault is distinct from v_fault
      for no key update skip locked;
  if found then
    update publish.subscription s
       set fault = v_fault, fault_at = case when v_fault is not null then clock_timestamp() end
     where s.subscription_id = v_id;
  end if;
end
$$;
comment on function publish.report_fault(text, text) is
  'A worker says why this subscription cannot work at all: a missing module, a host that is not '
  'known, a refused login. Null: it can again. Shown by publish_subscriptions. Errors: PT404 no '
  'such subscription.';
revoke all on function publish.report_fault(text, text) from public;
grant execute on function publish.report_fault(text, text) to publish_worker, publish_admin;
