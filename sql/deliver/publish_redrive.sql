-- One page is one transaction's work: nothing is remembered between calls but "next". The letters
-- of a page are due at one moment, and what is due at one moment is sent in rev order.
create or replace function public.publish_redrive(
  subscription text,
  pub_id uuid default null,
  class text default null,
  batch int default 10000,
  after bigint default null,
  out next bigint,
  out redriven int
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id int := (publish.lock_subscription(publish_redrive.subscription)).subscription_id;
  v_due_at timestamptz;
begin
  perform publish.check_batch(publish_redrive.batch);
  v_due_at := publish.retried_from(v_id);
  with letter as (
    select d.pub_id
      from publish.parked d
     where d.subscription_id = v_id and d.next_attempt_at is null
       and (d.pub_id = publish_redrive.pub_id or publish_redrive.pub_id is null)
       and (d.class = publish_redrive.class or publish_redrive.class is null)
       and d.rev > coalesce(publish_redrive.after, -1)
     order by d.rev
     limit publish_redrive.batch
  ),
  again as (
    update publish.parked k
       set attempts = 0, first_failed_at = null, next_attempt_at = v_due_at
      from letter l
     where k.subscription_id = v_id and k.pub_id = l.pub_id
    returning k.rev
  )
  select count(*), case when count(*) = publish_redrive.batch then max(a.rev) end
    into publish_redrive.redriven, publish_redrive.next
    from again a;
  if publish_redrive.redriven > 0 then
    perform pg_notify('publish', public.publish_head()::text);
  end if;
end
$$;
comment on function public.publish_redrive(text, uuid, text, int, bigint) is
  'Has dead letters tried again, with all attempts, in rev order: the one of this key, those of a '
  'class, or all; of these the next batch above "after", a rev. Each sends what is published now. '
  'Returns how many, and where to go on: pass next as after, until it is null. Errors: PT404 no '
  'such subscription, PT400 bad batch.';
revoke all on function public.publish_redrive(text, uuid, text, int, bigint) from public;
grant execute on function public.publish_redrive(text, uuid, text, int, bigint) to publish_admin;
