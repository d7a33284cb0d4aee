create or replace function publish.oldest_change(kinds text[], cursor bigint)
returns timestamptz
language plpgsql
stable
as $$
begin
  if oldest_change.kinds is null then
    return (
      select p.updated_at
        from publish.published p
       where p.rev > oldest_change.cursor
       order by p.rev
       limit 1);
  end if;
  return (
    select min(p.updated_at)
      from unnest(oldest_change.kinds) as k (kind)
     cross join lateral (
       select p.updated_at
         from publish.published p
        where (p.kind, p.rev) > (k.kind, oldest_change.cursor) and p.kind <= k.kind
        order by p.kind, p.rev
        limit 1
     ) p);
end
$$;
comment on function publish.oldest_change(text[], bigint) is
  'When the first change of these kinds, or of all, above this rev was published.';
revoke all on function publish.oldest_change(text[], bigint) from public;
