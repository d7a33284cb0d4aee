-- Any answer will do, as will an event that the sink cannot write: a consumer that refuses what it
-- does not know has been told.
create or replace function publish.settle_control(
  batch publish.batch,
  failures publish.failure[]
) returns void
language plpgsql
as $$
begin
  update publish.subscription s
     set reset_told_at = coalesce(s.reset_told_at, clock_timestamp()),
         reset_rev = case when s.reset_told_at is null then s.reset_rev end
   where s.subscription_id = (settle_control.batch).subscription_id
     and not exists (
       select
         from unnest(settle_control.failures) as f
         join publish.failure_class c on c.class = f.class and c.counts <> 'always');
end
$$;
comment on function publish.settle_control(publish.batch, publish.failure[]) is
  'Remembers that the consumer was told of a reset, or of its end.';
revoke all on function publish.settle_control(publish.batch, publish.failure[]) from public;
