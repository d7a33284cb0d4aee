-- Tombstones up to tombstones_after are not for a subscription, wherever it is.
create or replace function publish.read_to(
  kind text,
  out rows_to bigint,
  out tombstones_to bigint,
  out reader text
)
language sql
stable
as $$
  select coalesce(min(c.cursor), 9223372036854775807),
         coalesce(min(greatest(c.cursor, s.tombstones_after)), 9223372036854775807),
         (array_agg(format('subscription %s is at rev %s', s.name, c.cursor)
                    order by c.cursor, s.name))[1]
    from publish.subscription s
   cross join lateral publish.lane_cursors(s.subscription_id) c
   where s.disabled_at is null
     and (s.kinds is null or read_to.kind = any (s.kinds))
$$;
comment on function publish.read_to(text) is
  'Up to which rev every subscription that lives has read the kind: rows_to, and of tombstones '
  'tombstones_to. A paused one lives, a disabled one does not. reader: the last one, in words.';
revoke all on function publish.read_to(text) from public;
