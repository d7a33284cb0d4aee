create or replace function public.publish_discard(
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
  v_id int := (publish.check_subscription(publish_discard.subscription)).subscription_id;
  v_count int;
begin
  delete from publish.parked k
   where k.subscription_id = v_id and k.next_attempt_at is null
     and k.pub_id in (
       select d.pub_id
         from publish.parked d
        where d.subscription_id = v_id and d.next_attempt_at is null
          and (d.pub_id = publish_discard.pub_id or publish_discard.pub_id is null)
          and (d.class = publish_discard.class or publish_discard.class is null)
        limit publish_discard.batch);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function public.publish_discard(text, uuid, text, int) is
  'Forgets dead letters: the one of this key, those of a class, or all, at most batch. Returns how '
  'many. Errors: PT404 no such subscription.';
revoke all on function public.publish_discard(text, uuid, text, int) from public;
grant execute on function public.publish_discard(text, uuid, text, int) to publish_admin;
