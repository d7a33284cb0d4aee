-- The range and the order leave one plan, as in publish.newest.
create or replace function publish.failed_of(kind text, source_id text, lookup_id int default null)
returns setof publish.deferred
language sql
stable
rows 1
as $$
  select d.*
    from publish.deferred d
   where d.reason = 'failed' and d.kind = failed_of.kind
     and d.source_id >= failed_of.source_id and d.source_id <= failed_of.source_id
     and coalesce(d.lookup_id, 0) = coalesce(failed_of.lookup_id, 0)
   order by d.source_id, coalesce(d.lookup_id, 0)
   limit 1
$$;
comment on function publish.failed_of(text, text, int) is
  'The row of publish.deferred of a key or lookup that failed, or none.';
revoke all on function publish.failed_of(text, text, int) from public;
