-- A subquery in an expression, or a lateral one, is asked for each row: its LIMIT is that row's.
-- Node names: RTE before PostgreSQL 16, RANGETBLENTRY since.
create or replace function publish.mixing(view regclass)
returns table (problem text, hint text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive reading as (
    select mixing.view::oid as oid
    union
    select c.oid
      from reading r
      join pg_rewrite w on w.ev_class = r.oid and w.ev_type = '1'
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                      and d.refclassid = 'pg_class'::regclass
      join pg_class c on c.oid = d.refobjid and c.relkind = 'v'
  ),
  node as materialized (
    select r.oid as of_view, n.*
      from reading r
      join pg_class c on c.oid = r.oid and c.relkind = 'v'
     cross join lateral publish.rule_nodes(r.oid) n
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
