-- A circuit is open until its due_at, and half-open, for one change, while it has failures. Fresh
-- changes come first while the retries' circuit is not closed; otherwise the parts alternate. After
-- a lost batch its part comes again: half of it may be innocent.
create or replace function publish.next_part(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns text
language plpgsql
stable
as $$
declare
  v_state publish.state := next_part.state;
  v_now timestamptz := (next_part.ask).now;
  v_part text := publish.next_control(subscription => next_part.subscription,
                                      state => v_state, now => v_now);
  v_fresh boolean := v_state.cursor < (next_part.ask).head
                     and (v_state.fresh_due_at > v_now) is not true;
  v_retries boolean := (v_state.retries_due_at > v_now) is not true
                       and exists (
                         select
                           from publish.next_retries(state => v_state, now => v_now, size => 1));
begin
  if v_part is not null then
    return nullif(v_part, 'wait');
  end if;
  if v_fresh and v_retries
     and (v_state.retries_failures > 0 or (v_state.part = 'retries') <> v_state.is_open) then
    v_retries := not exists (
      select
        from publish.next_changes(subscription => next_part.subscription, state => v_state,
                                  head => (next_part.ask).head, size => 1));
  end if;
  return case when v_retries then 'retries' when v_fresh then 'fresh' end;
end
$$;
comment on function publish.next_part(publish.subscription, publish.state, publish.ask) is
  'What this lane''s next batch is of, as in publish.batch; null: there is none now.';
revoke all on function publish.next_part(publish.subscription, publish.state, publish.ask)
  from public;
