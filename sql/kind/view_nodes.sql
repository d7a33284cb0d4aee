create or replace function publish.view_nodes(view regclass)
returns table (of_view oid, node int, depth int, content text)
language sql
stable
as $$
  select c.oid, n.node, n.depth, n.content
    from publish.views_below(view_nodes.view) as b (oid)
    join pg_class c on c.oid = b.oid and c.relkind = 'v'
   cross join lateral publish.rule_nodes(c.oid) n
$$;
comment on function publish.view_nodes(regclass) is
  'What publish.rule_nodes says of a view and of the views that it reads. None for a table.';
revoke all on function publish.view_nodes(regclass) from public;
