create or replace function public.publish_dead_letters(
  subscription text default null,
  batch int default 100
) returns table (
  subscription_name text, pub_id uuid, kind text, rev bigint, current_rev bigint, class text,
  message text, attempts int, first_failed_at timestamptz, last_failed_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(publish_dead_letters.batch, 0) < 1 then
    raise exception 'batch must be 1 or more' using
      errcode = 'PT400',
      detail = format('batch %s', coalesce(publish_dead_letters.batch::text, 'null')),
      hint = 'Pass how many dead letters to show at most.';
  end if;
  if publish_dead_letters.subscription is not null then
    perform publish.check_subscription(publish_dead_letters.subscription);
  end if;
  return query
    select s.name, k.pub_id, p.kind, k.rev, p.rev, k.class, k.message, k.attempts,
           k.first_failed_at, k.last_failed_at
      from publish.subscription s
      join publish.parked k on k.subscription_id = s.subscription_id and k.next_attempt_at is null
      left join lateral (
        select p.kind, p.rev
          from publish.published p
         where p.pub_id = k.pub_id
         order by p.rev desc
         limit 1
      ) p on true
     where s.name = publish_dead_letters.subscription or publish_dead_letters.subscription is null
     order by k.last_failed_at desc, k.pub_id
     limit publish_dead_letters.batch;
end
$$;
comment on function public.publish_dead_letters(text, int) is
  'Keys given up after max_attempts, the newest first: what failed (rev), what a redrive would '
  'send (current_rev; null: pruned), why, how often, since when. A newer change of such a '
  'key is tried once by itself. Errors: PT404 no such subscription, PT400 bad batch.';
revoke all on function public.publish_dead_letters(text, int) from public;
grant execute on function public.publish_dead_letters(text, int) to publish_worker, publish_admin;
