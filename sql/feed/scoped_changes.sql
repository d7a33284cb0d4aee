-- Planned under the settings of publish.changes' callers.
create or replace function publish.scoped_changes(
  reading publish.reading,
  since bigint,
  base bigint,
  batch int
) returns setof publish.published
language plpgsql
stable
rows 500
as $$
begin
  return query
    select u.*
      from (
        select p.*
          from (select unnest((scoped_changes.reading).kinds) as kind
                except select unnest((scoped_changes.reading).scoped)) k
         cross join lateral (
           select p.*
             from publish.published p
            where (p.kind, p.rev) > (k.kind, scoped_changes.since) and p.kind <= k.kind
              and (not p.deleted or p.rev > coalesce(scoped_changes.base, 0))
            order by p.kind, p.rev
            limit scoped_changes.batch
         ) p
        union all
        select p.*
          from unnest((scoped_changes.reading).scoped) as k (kind)
         cross join lateral (
           select p.*
             from publish.published p
            where (p.kind, p.scope, p.rev)
                    > (k.kind, (scoped_changes.reading).scope, scoped_changes.since)
              and (p.kind, p.scope) <= (k.kind, (scoped_changes.reading).scope)
              and p.scope is not null
              and (not p.deleted or p.rev > coalesce(scoped_changes.base, 0))
            order by p.kind, p.scope, p.rev
            limit scoped_changes.batch
         ) p
        union all
        select t.*
          from unnest((scoped_changes.reading).scoped) as k (kind)
         cross join lateral (
           select d.*
             from publish.departed d
            where (d.kind, d.scope, d.rev)
                    > (k.kind, (scoped_changes.reading).scope,
                       greatest(scoped_changes.since, scoped_changes.base))
              and (d.kind, d.scope) <= (k.kind, (scoped_changes.reading).scope)
            order by d.kind, d.scope, d.rev
            limit scoped_changes.batch
         ) d
         cross join lateral publish.tombstone(d) t
      ) u
     order by u.rev
     limit scoped_changes.batch;
end
$$;
comment on function publish.scoped_changes(publish.reading, bigint, bigint, int) is
  'As publish.changes, for a reading with a scope.';
revoke all on function publish.scoped_changes(publish.reading, bigint, bigint, int) from public;
