-- One page is one transaction's work: nothing is remembered between calls but "next".
create or replace function public.publish_redrive(
  subscription text,
  pub_id uuid default null,
  class text default null,
  batch int default 10000,
  after uuid default null,
  out next uuid,
  out redriven int
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id int := (publish.lock_subscription(publish_redrive.subscription)).subscription_id;
begin
  perform publish.check_batch(publish_redrive.batch);
  with letter as (
    select d.pub_id
      from publish.parked d
     where d.subscription_id = v_id and d.next_attempt_at is null
       and (d.pub_id = publish_redrive.pub_id or publish_redrive.pub_id is null)
       and (d.class = publish_redrive.class or publish_redrive.class is null)
       and (d.pub_id > publish_redrive.after or publish_redrive.after is null)
     order by d.pub_id
     limit publish_redrive.batch
  ),
  again as (
    update publish.parked k
       set attempts = 0,
           next_attempt_at = greatest(
             clock_timestamp(),
             (select b.retry_to
                from publish.batch b
               where b.subscription_id = k.subscription_id and b.lane = k.lane
               order by b.token desc
               limit 1))
      from letter l
     where k.subscription_id = v_id and k.pub_id = l.pub_id
    returning k.pub_id
  )
  select count(*),
         case when count(*) = publish_redrive.batch
              then (array_agg(a.pub_id order by a.pub_id desc))[1] end
    into publish_redrive.redriven, publish_redrive.next
    from again a;
  if publish_redrive.redriven > 0 then
    perform pg_notify('publish', public.publish_head()::text);
  end if;
end
$$;
comment on function public.publish_redrive(text, uuid, text, int, uuid) is
  'Has dead letters tried again, with all attempts: the one of this key, those of a class, or all; '
  'of these the next batch above "after", by pub_id. Each sends what is published now. Returns how '
  'many, and where to go on: pass next as after, until it is null. Errors: PT404 no such '
  'subscription, PT400 bad batch.';
revoke all on function public.publish_redrive(text, uuid, text, int, uuid) from public;
grant execute on function public.publish_redrive(text, uuid, text, int, uuid) to publish_admin;
