-- Inlined into its callers, and planned under their settings: no SET clause. All parts but one are
-- empty. Row comparisons keep kind in the order, which published_kind_idx alone gives.
create or replace function publish.changes(
  reading publish.reading,
  since bigint,
  base bigint,
  batch int
) returns setof publish.published
language sql
stable
rows 500
as $$
  (select p.*
     from publish.published p
    where (changes.reading).kinds is null
      and p.rev > changes.since
      and (not p.deleted or p.rev > coalesce(changes.base, 0))
    order by p.rev
    limit changes.batch)
  union all
  (select p.*
     from (select distinct k.kind from unnest((changes.reading).kinds) as k (kind)) k
    cross join lateral (
      select p.*
        from publish.published p
       where (p.kind, p.rev) > (k.kind, changes.since) and p.kind <= k.kind
         and (not p.deleted or p.rev > coalesce(changes.base, 0))
       order by p.kind, p.rev
       limit changes.batch
    ) p
    where (changes.reading).scope is null
    order by p.rev
    limit changes.batch)
  union all
  select p.*
    from publish.scoped_changes(reading => changes.reading, since => changes.since,
                                base => changes.base, batch => changes.batch) p
   where (changes.reading).scope is not null
$$;
comment on function publish.changes(publish.reading, bigint, bigint, int) is
  'The next rows of the feed after since that are for this reading, in rev order, at most batch, '
  'without tombstones up to base. A key that left the reading''s scope is a tombstone.';
revoke all on function publish.changes(publish.reading, bigint, bigint, int) from public;
