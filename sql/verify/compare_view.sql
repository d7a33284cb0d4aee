-- The payloads are those of the drain's own projection: equal data has equal hashes, and a key
-- that fails is found as the drain finds it.
create or replace function publish.compare_view(kind text, page publish.mark[])
returns table (source_id text, problem text)
language sql
stable
as $$
  with key as (
    select m.source_id, count(*) as rows,
           octet_length(m.source_id) between 1 and 2000 as is_valid
      from unnest(compare_view.page) m
     group by m.source_id
  ),
  entry as materialized (
    select e.source_id, e.payload_hash, e.deleted, e.sqlstate
      from unnest(publish.project(
             kind => publish.check_kind(compare_view.kind),
             marks => array(select m
                              from unnest(compare_view.page) m
                              join key k on k.source_id = m.source_id
                             where k.rows = 1 and k.is_valid))) e
  )
  select d.source_id, d.problem
    from (
      select k.source_id,
             case when not k.is_valid then 'unpublishable'
                  when k.rows > 1 then 'duplicate'
                  when e.sqlstate = '55P03' then 'locked'
                  -- Deleted: a key whose text does not lead back to its row.
                  when e.source_id is null or e.sqlstate is not null or e.deleted
                  then 'unpublishable'
                  when p.rev is null or p.deleted then 'missing'
                  when (p.payload_hash, p.schema_version)
                       is distinct from (e.payload_hash, o.schema_version) then 'stale' end
               as problem
        from key k
        join publish.kind o on o.kind = compare_view.kind
        left join entry e on e.source_id = k.source_id
        left join lateral publish.newest(compare_view.kind, k.source_id) p on true
    ) d
   where d.problem is not null
$$;
comment on function publish.compare_view(text, publish.mark[]) is
  'What differs between a page of the view and the feed: the keys that are missing, stale, '
  'duplicate or unpublishable, each with its problem; locked: a table is being replaced.';
revoke all on function publish.compare_view(text, publish.mark[]) from public;
