-- Planned under the settings of publish.cursor_state. Before 17 a scan backward ends at a row
-- comparison by its first column only, so that one reads all floors of the kind.
create or replace function publish.floor_of(kinds text[], departed boolean) returns bigint
language plpgsql
stable
as $$
begin
  if floor_of.kinds is null then
    return (select f.floor from publish.floor f where not f.departed order by f.floor desc limit 1);
  end if;
  return (
    select max(n.floor)
      from unnest(floor_of.kinds) as k (kind)
     cross join lateral (
       select f.floor
         from publish.floor f
        where f.kind = k.kind and f.departed = floor_of.departed
        order by f.floor desc
        limit 1
     ) n);
end
$$;
comment on function publish.floor_of(text[], boolean) is
  'Highest rev pruned of these kinds, or of all for null; null if nothing of them was. departed: '
  'of the tombstones of scopes that keys left, of which kinds must be named.';
revoke all on function publish.floor_of(text[], boolean) from public;
