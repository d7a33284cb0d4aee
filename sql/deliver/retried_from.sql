-- The clock may have stepped back since; and while a batch of retries is under way, its settling
-- will move retried_to.
create or replace function publish.retried_from(subscription_id int) returns timestamptz
language sql
stable
as $$
  select greatest(clock_timestamp(), max(b.retry_to))
    from publish.lane_now l
    join publish.batch b on b.token = l.token
   where l.subscription_id = retried_from.subscription_id
$$;
comment on function publish.retried_from(int) is
  'When a change of this subscription can be due that waited for nothing: now, but not before what '
  'its lanes have looked for already.';
revoke all on function publish.retried_from(int) from public;
