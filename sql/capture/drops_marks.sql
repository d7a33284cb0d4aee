-- Each transaction whose marks are dropped leaves a request of its own: a walk that began before it
-- committed may have passed its keys, and does not end that request.
create or replace function publish.drops_marks(kind text) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind publish.kind;
  v_name text;
begin
  select k.* into v_kind from publish.kind k
   where k.kind = publish.present_name(drops_marks.kind, clock_timestamp());
  if v_kind.settings ->> 'at_depth_limit' = 'refuse' then
    perform publish.check_room(v_kind);
    return false;
  end if;
  if not publish.is_over(v_kind) then
    return false;
  end if;
  v_name := format('publish.dropped_%s', v_kind.kind_no);
  if current_setting(v_name, true) is distinct from 'on' then
    insert into publish.walk (kind, reason, due_at)
    values (v_kind.kind, 'over its depth_limit', clock_timestamp() + interval '10 seconds');
    perform set_config(v_name, 'on', true);
  end if;
  return true;
end
$$;
comment on function publish.drops_marks(text) is
  'For a trigger: true if this write''s marks are to be left out, as the kind is over its setting '
  'depth_limit; a walk of the whole kind is asked for then. '
  'Errors: PT429 if it is, and its setting at_depth_limit is refuse.';
revoke all on function publish.drops_marks(text) from public;
grant execute on function publish.drops_marks(text) to publish_projector;
