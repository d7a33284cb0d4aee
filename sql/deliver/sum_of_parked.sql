create or replace function publish.sum_of_parked(
  subscription_id int,
  out retries bigint,
  out dead bigint,
  out oldest_at timestamptz
)
language plpgsql
stable
as $$
begin
  select count(k.next_attempt_at), count(*) - count(k.next_attempt_at), min(p.updated_at)
    into sum_of_parked.retries, sum_of_parked.dead, sum_of_parked.oldest_at
    from publish.parked k
    left join lateral (
      select p.updated_at
        from publish.published p
       where p.pub_id >= k.pub_id and p.pub_id <= k.pub_id and k.next_attempt_at is not null
       order by p.pub_id, p.rev desc
       limit 1
    ) p on true
   where k.subscription_id = sum_of_parked.subscription_id;
end
$$;
comment on function publish.sum_of_parked(int) is
  'How many retries and dead letters a subscription has, and when the oldest change of the retries '
  'was published.';
revoke all on function publish.sum_of_parked(int) from public;
