create or replace function public.publish_redrive(
  subscription text,
  pub_id uuid default null,
  class text default null,
  batch int default 10000
) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id int := (publish.lock_subscription(publish_redrive.subscription)).subscription_id;
  v_count int;
begin
  update publish.parked k
     set attempts = 0,
         next_attempt_at = greatest(
           clock_timestamp(),
           (select b.retry_to
              from publish.batch b
             where b.subscription_id = k.subscription_id and b.lane = k.lane
             order by b.token desc
             limit 1))
   where k.subscription_id = v_id
     and k.pub_id in (
       select d.pub_id
         from publish.parked d
        where d.subscription_id = v_id and d.next_attempt_at is null
          and (d.pub_id = publish_redrive.pub_id or publish_redrive.pub_id is null)
          and (d.class = publish_redrive.class or publish_redrive.class is null)
        limit publish_redrive.batch);
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform pg_notify('publish', public.publish_head()::text);
  end if;
  return v_count;
end
$$;
comment on function public.publish_redrive(text, uuid, text, int) is
  'Has dead letters tried again, with all attempts: the one of this key, those of a class, or all, '
  'at most batch. Each sends what is published now. Returns how many. Errors: PT404 no such '
  'subscription.';
revoke all on function public.publish_redrive(text, uuid, text, int) from public;
grant execute on function public.publish_redrive(text, uuid, text, int) to publish_admin;
