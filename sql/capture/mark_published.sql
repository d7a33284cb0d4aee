create or replace function publish.mark_published(kind text) returns bigint
language plpgsql
as $$
declare
  v_marked bigint;
begin
  insert into publish.outbox (kind, source_id)
  select p.kind, p.source_id
    from publish.published p
   where p.kind = mark_published.kind and not p.deleted;
  get diagnostics v_marked = row_count;
  return v_marked;
end
$$;
comment on function publish.mark_published(text) is
  'Marks every live published key of a projected kind dirty; returns how many.';
revoke all on function publish.mark_published(text) from public;
