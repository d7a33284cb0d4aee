create or replace function public.publish_resume(subscription text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id int := (publish.lock_subscription(publish_resume.subscription)).subscription_id;
begin
  update publish.subscription s
     set paused_at = null, disabled_at = null, disabled_reason = null
   where s.subscription_id = v_id;
  update publish.batch b
     set failures = 0, resume_at = null
    from publish.lane l
   where l.subscription_id = v_id
     and b.token = (select n.token
                      from publish.batch n
                     where n.subscription_id = l.subscription_id and n.lane = l.lane
                     order by n.token desc
                     limit 1);
  update publish.parked k
     set next_attempt_at = clock_timestamp()
   where k.subscription_id = v_id and k.class in ('endpoint', 'unknown')
     and k.next_attempt_at > clock_timestamp();
  perform pg_notify('publish', public.publish_head()::text);
end
$$;
comment on function public.publish_resume(text) is
  'Delivers again after publish_pause, after a 410 disabled it, or at once where lanes and '
  'changes wait for the endpoint. Errors: PT404 there is none.';
revoke all on function public.publish_resume(text) from public;
grant execute on function public.publish_resume(text) to publish_admin;
