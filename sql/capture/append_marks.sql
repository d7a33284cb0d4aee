create or replace function publish.append_marks(
  kind text,
  keys text[],
  lookup_id int default null,
  headers jsonb default null
) returns int
language sql
as $$
  with marked as (
    insert into publish.outbox as o (kind, source_ids, lookup_id, headers)
    select append_marks.kind, g.keys, append_marks.lookup_id, append_marks.headers
      from (select array_agg(u.source_id order by u.n) as keys
              from unnest(append_marks.keys) with ordinality as u (source_id, n)
             where octet_length(u.source_id) between 1 and 2000
             group by (u.n - 1) / 32
             order by min(u.n)) g
    returning cardinality(o.source_ids) as keys
  )
  select coalesce(sum(m.keys), 0)::int from marked m
$$;
comment on function publish.append_marks(text, text[], int, jsonb) is
  'Appends keys of a projected kind to the outbox, 32 in a row. Keys of no or more than 2,000 '
  'bytes are left out; returns how many were not.';
revoke all on function publish.append_marks(text, text[], int, jsonb) from public;
