-- Node names: RTE before PostgreSQL 16, RANGETBLENTRY since.
create or replace function publish.varying(view regclass)
returns table (problem text, hint text)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  with node as materialized (
    select n.* from publish.view_nodes(varying.view) n
  ),
  called as (
    select p.oid, p.proname, p.pronamespace, p.provolatile, p.pronargs,
           p.proargtypes[0] as argument,
           n.content like 'AGGREF %' as is_aggregate,
           n.content like '%:aggorder <> :aggdistinct <>%' as is_unordered
      from node n
     cross join lateral regexp_match(
       n.content, ':(?:funcid|opfuncid|aggfnoid) ([0-9]+)') as m (match)
      join pg_proc p on p.oid = m.match[1]::oid
  )
  select distinct f.problem, f.hint
    from (
      select format('%s without ORDER BY gives unlike rows for equal data', c.proname) as problem,
             format('Write: %s(… order by …)', c.proname) as hint
        from called c
       where c.is_aggregate and c.is_unordered
         and (c.pronamespace <> 'pg_catalog'::regnamespace
              or c.proname in ('array_agg', 'string_agg', 'json_agg', 'jsonb_agg', 'xmlagg',
                               'json_object_agg'))
      union all
      select format('%s of floating-point numbers depends on the order of rows', c.proname),
             format('Write: %s(…::numeric)', c.proname)
        from called c
       where c.is_aggregate and c.is_unordered
         and c.argument in ('float4'::regtype, 'float8'::regtype)
         and c.proname ~ '^(sum|avg|var|stddev)'
      union all
      select format('%s() gives another row each time the view is read', c.proname),
             'Publish the time or the number that it is compared with.'
        from called c
       where not c.is_aggregate
         and (c.provolatile = 'v'
              or c.proname in ('now', 'transaction_timestamp', 'statement_timestamp')
              or c.proname = 'age' and c.pronargs = 1)
      union all
      select format('%s() is that of the session which drains', c.proname),
             'Leave it to readers: the feed is one for all of them.'
        from called c
       where c.pronamespace = 'pg_catalog'::regnamespace
         and c.proname in ('current_setting', 'pg_backend_pid', 'txid_current',
                           'pg_current_xact_id', 'inet_client_addr')
      union all
      select 'the current user is publish_projector where the drain reads',
             'Leave it to readers: the feed is one for all of them.'
        from node n
       where n.content ~ '^SQLVALUEFUNCTION :op (9|1[0-2]) '
      union all
      select v.problem, 'Publish the time or the number that it is compared with.'
        from node n
       cross join lateral (values
         (case when n.content ~ '^SQLVALUEFUNCTION :op [0-8] '
               then 'the current date or time gives another row each time the view is read' end),
         (case when n.content like 'TABLESAMPLECLAUSE %'
               then 'TABLESAMPLE gives other rows each time the view is read' end)
       ) as v (problem)
       where v.problem is not null
    ) f
$$;
comment on function publish.varying(regclass) is
  'What in a view, or in a view that it reads, makes rows unlike for equal data: the feed then '
  'lacks changes, or has changes of nothing. Not found: what is inside of functions and '
  'materialized views.';
revoke all on function publish.varying(regclass) from public;
grant execute on function publish.varying(regclass) to publish_admin;
