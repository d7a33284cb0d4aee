-- A name alone does not say what a call may do: length(text) is immutable, length(bytea, name) is
-- not. The stored query says which function it calls.
create or replace function publish.describe_functions(view regclass) returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with called as (
    select distinct p.*, p.pronamespace = 'pg_catalog'::regnamespace as is_builtin,
           case when p.pronamespace = 'pg_catalog'::regnamespace then p.proname::text
                else format('%s.%s', n.nspname, p.proname) end as name,
           p.proargtypes::oid[] && array['float4', 'float8']::regtype[]::oid[] as is_float
      from publish.views_below(describe_functions.view) as b (oid)
      join pg_rewrite w on w.ev_class = b.oid and w.ev_type = '1'
     cross join lateral regexp_matches(
       w.ev_action::text, ':(?:funcid|aggfnoid|winfnoid) ([0-9]+)', 'g') as m (match)
      join pg_proc p on p.oid = m.match[1]::oid
      join pg_namespace n on n.oid = p.pronamespace
  )
  select coalesce(jsonb_object_agg(f.name, f.what), '{}')
    from (
      select c.name, jsonb_build_object(
               'volatile', bool_or(c.provolatile = 'v'), 'stable', bool_or(c.provolatile = 's'),
               'builtin', bool_and(c.is_builtin), 'immutable', bool_and(c.provolatile = 'i'),
               'aggregate', bool_or(c.prokind = 'a'), 'many', bool_or(c.proretset),
               'float', bool_or(c.prokind = 'a' and c.is_builtin and c.is_float
                                and c.proname ~ '^(sum|avg|var|stddev)'),
               'ordered', bool_or(c.prokind = 'a'
                                  and (not c.is_builtin
                                       or c.proname ~ '^(array|string|json|jsonb|xml|json_object'
                                                      '|jsonb_object)_?agg$'))) as what
        from called c
       group by c.name) f
$$;
comment on function publish.describe_functions(regclass) is
  'What the functions that a view and the views below it call may do, by name as the query has it: '
  'volatile, stable, all builtin, all immutable, aggregate, returns many rows; of an aggregate '
  'also whether it is of floating-point numbers and whether it depends on the order of its rows.';
revoke all on function publish.describe_functions(regclass) from public;
grant execute on function publish.describe_functions(regclass) to publish_admin;
