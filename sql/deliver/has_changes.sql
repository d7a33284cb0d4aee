create or replace function publish.has_changes(
  subscription publish.subscription,
  state publish.state,
  head bigint
) returns boolean
language plpgsql
stable
as $$
declare
  v_lanes int := (has_changes.subscription).lanes;
  v_lane int := (has_changes.state).lane;
  v_cursor bigint := (has_changes.state).cursor;
  v_tombstones_after bigint := (has_changes.subscription).tombstones_after;
begin
  if (has_changes.subscription).kinds is null then
    return exists (
      select
        from publish.published p
       where p.rev > v_cursor and p.rev <= has_changes.head
         and publish.lane_of(p.pub_id, v_lanes) = v_lane
         and (not p.deleted or p.rev > v_tombstones_after)
       order by p.rev
       limit 1);
  end if;
  return exists (
    select
      from unnest((has_changes.subscription).kinds) as k (kind)
     cross join lateral (
       select
         from publish.published p
        where (p.kind, p.rev) > (k.kind, v_cursor) and p.kind <= k.kind
          and p.rev <= has_changes.head
          and publish.lane_of(p.pub_id, v_lanes) = v_lane
          and (not p.deleted or p.rev > v_tombstones_after)
        order by p.kind, p.rev
        limit 1
     ) p);
end
$$;
comment on function publish.has_changes(publish.subscription, publish.state, bigint) is
  'Is there a change above its cursor for this lane; it may be of a key that waits for its retry.';
revoke all on function publish.has_changes(publish.subscription, publish.state, bigint)
  from public;
