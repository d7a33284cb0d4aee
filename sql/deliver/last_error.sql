-- The range and the order leave one plan, as in publish.newest.
create or replace function publish.last_error(
  subscription_id int,
  out class text,
  out message text,
  out at timestamptz
)
language plpgsql
stable
as $$
begin
  select b.error_class, b.error, b.settled_at
    into last_error.class, last_error.message, last_error.at
    from publish.batch b
   where b.subscription_id >= last_error.subscription_id
     and b.subscription_id <= last_error.subscription_id and b.error_class is not null
   order by b.subscription_id, b.token desc
   limit 1;
  if not found then -- the log is trimmed
    select k.class, k.message, k.last_failed_at
      into last_error.class, last_error.message, last_error.at
      from publish.parked k
     where k.subscription_id = last_error.subscription_id and k.last_failed_at is not null
     order by k.last_failed_at desc
     limit 1;
  end if;
end
$$;
comment on function publish.last_error(int) is
  'What failed last of a subscription''s deliveries; nulls: nothing that is known.';
revoke all on function publish.last_error(int) from public;
