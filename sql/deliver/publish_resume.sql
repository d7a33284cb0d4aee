create or replace function public.publish_resume(subscription text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id int := (publish.lock_subscription(publish_resume.subscription)).subscription_id;
  v_at timestamptz := publish.retried_from(v_id);
begin
  update publish.subscription s
     set paused_at = null, paused_reason = null, disabled_at = null, disabled_reason = null
   where s.subscription_id = v_id;
  update publish.batch b
     set fresh_failures = 0, fresh_due_at = null, retries_failures = 0, retries_due_at = null
   where b.token in (
     select l.token from publish.lane_now l where l.subscription_id = v_id);
  update publish.parked k
     set next_attempt_at = v_at
    from publish.failure_class c
   where k.subscription_id = v_id and k.next_attempt_at > v_at
     and c.class = k.class and (c.counts = 'if answered' or c.lane_waits);
  perform pg_notify('publish', public.publish_head()::text);
end
$$;
comment on function public.publish_resume(text) is
  'Delivers again after publish_pause, after a pause by the database, after a 410 disabled it, or '
  'at once where lanes and changes wait for the endpoint. Errors: PT404 there is none.';
revoke all on function public.publish_resume(text) from public;
grant execute on function public.publish_resume(text) to publish_admin;
