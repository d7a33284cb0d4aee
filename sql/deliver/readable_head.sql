create or replace function publish.readable_head(
  subscription publish.subscription,
  state publish.state
) returns bigint
language plpgsql
stable
as $$
declare
  v_state record;
begin
  select s.head, s.broken into v_state
    from publish.cursor_state(since => (readable_head.state).cursor,
                              base => (readable_head.subscription).base, epoch => null,
                              reading => row((readable_head.subscription).kinds, null, null, null)
                                         ::publish.reading) s;
  if v_state.broken is not null then
    raise exception 'this subscription cannot go on' using
      errcode = 'PT410',
      detail = format('subscription %L, lane %s: %s', (readable_head.subscription).name,
                      (readable_head.state).lane, v_state.broken),
      hint = format('Have its consumer drop what it holds, and send all again: '
                    'select publish_resync(%L)', (readable_head.subscription).name);
  end if;
  return v_state.head;
end
$$;
comment on function publish.readable_head(publish.subscription, publish.state) is
  'The head, up to which a lane may read. Errors: PT410 it is below the retention floor.';
revoke all on function publish.readable_head(publish.subscription, publish.state) from public;
