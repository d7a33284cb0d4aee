-- Before publish.apply moves the rows. By place and by lateral lookups, so that no plan depends on
-- how many rows are there.
create or replace function publish.depart(
  head bigint,
  at timestamptz,
  changes publish.change[]
) returns void
language plpgsql
as $$
begin
  delete from publish.departed d
   where d.ctid = any (array(
           select o.place
             from publish.in_order(depart.changes) c
             join publish.published p on p.ctid = c.old_place
            cross join lateral (
              select o.ctid as place
                from publish.departed o
               where (o.pub_id, o.scope) >= (p.pub_id, c.scope)
                 and (o.pub_id, o.scope) <= (p.pub_id, c.scope)
               order by o.pub_id, o.scope
               limit 1
            ) o
            where c.verdict = 'changed' and not c.deleted));
  insert into publish.departed
    (rev, kind, source_id, pub_id, schema_version, scope, created_at, departed_at)
  select depart.head + c.n, p.kind, p.source_id, p.pub_id, p.schema_version, p.scope,
         p.created_at, depart.at
    from publish.in_order(depart.changes) c
    join publish.published p on p.ctid = c.old_place
   where c.verdict = 'changed' and not c.deleted and p.scope is distinct from c.scope
     and p.scope is not null;
end
$$;
comment on function publish.depart(bigint, timestamptz, publish.change[]) is
  'Keeps for the readers of a scope which keys leave it with these changes, and forgets it of keys '
  'that come back.';
revoke all on function publish.depart(bigint, timestamptz, publish.change[]) from public;
