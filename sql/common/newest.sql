-- The range on source_id, though it is one key, makes the order of two columns count, and leaves
-- one plan with any statistics: by published_key_idx, newest first. "source_id = … order by rev
-- desc" may also be read from published_kind_idx backward, through the whole kind, by a plan made
-- while it was tiny. Without the upper bound a key that is not there walks over all dead entries
-- behind it.
create or replace function publish.newest(kind text, source_id text)
returns setof publish.published
language sql
stable
rows 1
as $$
  select p.*
    from publish.published p
   where p.kind = newest.kind
     and p.source_id >= newest.source_id and p.source_id <= newest.source_id
   order by p.source_id, p.rev desc
   limit 1
$$;
comment on function publish.newest(text, text) is
  'What is published of a key: its row, or none.';
revoke all on function publish.newest(text, text) from public;
