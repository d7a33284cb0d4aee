-- Temporary children are left out: they are read by the session that made them alone, never by a
-- drain.
create or replace function publish.with_descendants(source regclass) returns setof regclass
language sql
stable
as $$
  with recursive family as (
    select with_descendants.source::oid as relid where with_descendants.source is not null
    union
    select i.inhrelid
      from family f
      join pg_inherits i on i.inhparent = f.relid
      join pg_class c on c.oid = i.inhrelid and c.relpersistence <> 't'
  )
  select f.relid::regclass from family f
$$;
comment on function publish.with_descendants(regclass) is
  'The table with its partitions, or its children by inheritance, of every level.';
revoke all on function publish.with_descendants(regclass) from public;
grant execute on function publish.with_descendants(regclass) to publish_admin;
