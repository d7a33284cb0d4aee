create or replace function publish.describe_function(name text) returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'volatile', coalesce(bool_or(p.provolatile = 'v'), true),
    'stable', coalesce(bool_or(p.provolatile = 's'), true),
    'builtin', coalesce(bool_and(p.pronamespace = 'pg_catalog'::regnamespace), false),
    'immutable', coalesce(bool_and(p.provolatile = 'i'), false),
    'aggregate', coalesce(bool_or(p.prokind = 'a'), false),
    'ordered', coalesce(bool_or(p.prokind = 'a'
                                and (p.prorettype in ('float4'::regtype, 'float8'::regtype)
                                     and p.proname in ('sum', 'avg')
                                     or p.proname in ('array_agg', 'string_agg', 'json_agg',
                                                      'jsonb_agg', 'xmlagg'))), false))
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
   where describe_function.name in (format('%s.%s', n.nspname, p.proname),
                                    case when n.nspname = 'pg_catalog' then p.proname end)
$$;
comment on function publish.describe_function(text) is
  'What the functions of this name may do, taken together: volatile, stable, all builtin, all '
  'immutable, aggregate, and whether an aggregate''s result depends on the order of its rows. A '
  'name that nobody knows counts as volatile.';
revoke all on function publish.describe_function(text) from public;
grant execute on function publish.describe_function(text) to publish_admin;
