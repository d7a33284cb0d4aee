-- Planned under the settings of publish.cursor_state. The row comparison keeps kind in the order,
-- which floor_pkey alone gives.
create or replace function publish.floor_of(kinds text[]) returns bigint
language plpgsql
stable
as $$
begin
  if floor_of.kinds is null then
    return (select f.floor from publish.floor f order by f.floor desc limit 1);
  end if;
  return (
    select max(n.floor)
      from unnest(floor_of.kinds) as k (kind)
     cross join lateral (
       select f.floor
         from publish.floor f
        where (f.kind, f.floor) >= (k.kind, 0) and f.kind <= k.kind
        order by f.kind desc, f.floor desc
        limit 1
     ) n);
end
$$;
comment on function publish.floor_of(text[]) is
  'Highest rev pruned of these kinds, or of all for null; null if nothing of them was.';
revoke all on function publish.floor_of(text[]) from public;
