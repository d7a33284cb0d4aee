create or replace function publish.disable(subscription_id int, failures publish.failure[])
returns void
language plpgsql
as $$
begin
  update publish.subscription s
     set disabled_at = clock_timestamp(),
         disabled_reason = coalesce(nullif(g.message, ''), 'the endpoint is gone')
    from (
      select f.message
        from unnest(disable.failures) as f
        join publish.failure_class c on c.class = f.class and c.disables
       limit 1
    ) g
   where s.subscription_id = disable.subscription_id and s.disabled_at is null;
end
$$;
comment on function publish.disable(int, publish.failure[]) is
  'Disables a subscription if one of these failures says so.';
revoke all on function publish.disable(int, publish.failure[]) from public;
