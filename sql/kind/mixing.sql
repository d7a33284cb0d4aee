-- A subquery in an expression, or a lateral one, is asked for each row: its LIMIT is that row's.
-- Node names: RTE before PostgreSQL 16, RANGETBLENTRY since.
create or replace function publish.mixing(view regclass)
returns table (problem text, hint text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with node as materialized (
    select n.* from publish.view_nodes(mixing.view) n
  ),
  whole as (
    select q.content
      from node q
      left join lateral (
        select p.content
          from node p
         where p.of_view = q.of_view and p.depth = q.depth - 1 and p.node < q.node
         order by p.node desc
         limit 1
      ) p on true
     where q.content like 'QUERY %'
       and coalesce(p.content !~ '^(SUBLINK |(RTE|RANGETBLENTRY) .*:lateral true)', true)
  )
  select distinct format('it uses %s: a row may change when rows of other keys do, which marks '
                         'only those', u.name),
         'Publish it by `pgpublish publish`, leave it to readers, or compute it per key.'
    from whole w
   cross join lateral (values
     (case when w.content like '%:hasWindowFuncs true%' then 'window functions' end),
     (case when w.content like '%:hasDistinctOn true%' then 'DISTINCT ON' end),
     (case when w.content ~ ':limit(Count|Offset) (?!<>)' then 'LIMIT or OFFSET' end)
   ) as u (name)
   where u.name is not null
$$;
comment on function publish.mixing(regclass) is
  'What in a view, or in a view that it reads, makes rows depend on rows of other keys: the feed '
  'lacks changes unless a write marks these too. Not found: what is inside of functions and '
  'materialized views.';
revoke all on function publish.mixing(regclass) from public;
