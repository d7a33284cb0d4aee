create or replace function publish.next_walk(due timestamptz) returns publish.walk
language plpgsql
as $$
declare
  v_walk publish.walk;
  v_kind publish.kind;
begin
  loop
    select w.* into v_walk
      from publish.walk w
     where w.due_at <= next_walk.due
     order by w.due_at, w.requested_at
     limit 1;
    exit when not found;
    update publish.walk w set kind = publish.present_name(w.kind, w.requested_at)
     where w.walk_id = v_walk.walk_id
       and w.kind <> publish.present_name(w.kind, w.requested_at);
    continue when found;
    select k.* into v_kind from publish.kind k where k.kind = v_walk.kind;
    if v_kind.view is null then
      delete from publish.walk w where w.walk_id = v_walk.walk_id;
      continue;
    elsif v_kind.settings ->> 'publishing' = 'off' then
      -- Those that are put off already may be locked: publish_set wakes them.
      update publish.walk w
         set due_at = 'infinity'
       where w.kind = v_walk.kind and w.due_at < 'infinity';
      continue;
    end if;
    if publish.try_hold(relation => v_kind.view,
                        wait_ms => (select 100 / count(*)
                                      from (select from publish.walk limit 100) w)::int) then
      if v_walk.position is null then
        -- What was asked for before this walk begins is done by it.
        delete from publish.walk w where w.kind = v_walk.kind and w.walk_id <> v_walk.walk_id;
      end if;
      return v_walk;
    end if;
    update publish.walk w
       set due_at = clock_timestamp() + interval '2 seconds'
     where w.walk_id = v_walk.walk_id;
  end loop;
  return null;
end
$$;
comment on function publish.next_walk(timestamptz) is
  'The walk of which the next page is due, or null. What its view reads is held; where a table is '
  'being replaced the walk waits two seconds, where its kind is switched off until it is on. '
  'Walks of kinds that have no view are dropped.';
revoke all on function publish.next_walk(timestamptz) from public;
