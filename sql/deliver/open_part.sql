create or replace function publish.open_part(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns table (token bigint, lease_until timestamptz, attempts int, change publish.published)
language plpgsql
rows 100
as $$
begin
  if (open_part.ask).part = 'control' then
    return query
      select c.*
        from publish.open_control(subscription => open_part.subscription, state => open_part.state,
                                  ask => open_part.ask) c;
  elsif (open_part.ask).part is not null then
    return query
      select b.*
        from publish.open_batch(subscription => open_part.subscription, state => open_part.state,
                                ask => open_part.ask) b;
  end if;
end
$$;
comment on function publish.open_part(publish.subscription, publish.state, publish.ask) is
  'Leases a locked lane for what ask.part says. No rows: there is nothing.';
revoke all on function publish.open_part(publish.subscription, publish.state, publish.ask)
  from public;
