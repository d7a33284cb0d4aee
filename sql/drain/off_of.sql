-- The range and the order leave one plan, as in publish.newest.
create or replace function publish.off_of(kind text, source_id text, lookup_id int default null)
returns setof publish.deferred
language sql
stable
rows 1
as $$
  select d.*
    from publish.deferred d
   where d.reason = 'off' and d.kind = off_of.kind
     and d.source_id >= off_of.source_id and d.source_id <= off_of.source_id
     and coalesce(d.lookup_id, 0) = coalesce(off_of.lookup_id, 0)
   order by d.source_id, coalesce(d.lookup_id, 0)
   limit 1
$$;
comment on function publish.off_of(text, text, int) is
  'The row of publish.deferred of a key or lookup of a kind that is switched off, or none.';
revoke all on function publish.off_of(text, text, int) from public;
