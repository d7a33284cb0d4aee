create or replace function publish.walk_replaced() returns void
language sql
as $$
  select publish.request_walk(r.kind, 'the view was replaced') from publish.replaced_views() r
$$;
comment on function publish.walk_replaced() is
  'Asks for a walk over each kind whose view, or what it is made of, was replaced. '
  'publish_maintain calls it.';
revoke all on function publish.walk_replaced() from public;
