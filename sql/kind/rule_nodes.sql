-- As in publish.column_origin: braces nest the nodes of a rule, and a node's own text is what is
-- between them at its depth.
create or replace function publish.rule_nodes(view oid)
returns table (node int, depth int, content text)
language sql
stable
as $$
  with part as (
    select p.n, p.match[1] as part,
           lag(p.match[2]) over (order by p.n) = '{' as opens,
           coalesce(sum(case p.match[2] when '{' then 1 when '}' then -1 else 0 end)
                      over (order by p.n rows between unbounded preceding and 1 preceding),
                    0)::int as depth
      from pg_rewrite r
     cross join lateral regexp_matches(
       r.ev_action::text, e'((?:\\\\.|[^{}\\\\])*)([{}]|$)', 'g') with ordinality as p (match, n)
     where r.ev_class = rule_nodes.view and r.ev_type = '1'
  ),
  placed as (
    select p.n, p.part, p.depth,
           (max(p.n) filter (where p.opens) over (partition by p.depth order by p.n))::int as node
      from part p
     where p.depth > 0
  )
  select p.node, p.depth, string_agg(p.part, '' order by p.n)
    from placed p
   group by p.node, p.depth
$$;
comment on function publish.rule_nodes(oid) is
  'The nodes of a view''s stored query, numbered as they begin, each without the text of the nodes '
  'in it. A node''s parent is the last one before it at one depth less.';
revoke all on function publish.rule_nodes(oid) from public;
