create or replace function publish.next_ask(
  subscription publish.subscription,
  state publish.state,
  worker text,
  batch int
) returns publish.ask
language plpgsql
stable
as $$
declare
  v_ask publish.ask;
  v_lost int := publish.lost_size(next_ask.state);
begin
  v_ask.worker := next_ask.worker;
  v_ask.now := clock_timestamp();
  if (next_ask.state).token is null
     or (next_ask.state).is_open and (next_ask.state).lease_until > v_ask.now
     or (next_ask.subscription).paused_at is not null
     or (next_ask.subscription).disabled_at is not null then
    return v_ask;
  end if;
  v_ask.head := publish.readable_head(next_ask.subscription, next_ask.state);
  v_ask.part := publish.next_part(subscription => next_ask.subscription,
                                  state => next_ask.state, ask => v_ask);
  v_ask.size := case
    when v_ask.part = 'fresh' and (next_ask.state).fresh_failures > 0
      or v_ask.part = 'retries' and (next_ask.state).retries_failures > 0 then 1
    else least(next_ask.batch,
               ceil((next_ask.subscription).rate / (next_ask.subscription).lanes),
               v_lost - v_lost / 2) end;
  return v_ask;
end
$$;
comment on function publish.next_ask(publish.subscription, publish.state, text, int) is
  'What a worker may take of a locked lane: at most batch changes, and half of a batch that was '
  'lost twice. Errors: PT410 the lane is below the retention floor.';
revoke all on function publish.next_ask(publish.subscription, publish.state, text, int)
  from public;
