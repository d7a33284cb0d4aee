create or replace function publish.mark(kind text, source_ids text[], headers jsonb default null)
returns int
language sql
as $$
  with marked as (
    insert into publish.outbox as o (kind, source_id, more, headers)
    select mark.kind, g.keys[1], nullif(g.keys[2:], '{}'), mark.headers
      from (select array_agg(u.source_id order by u.n) as keys
              from unnest(mark.source_ids) with ordinality as u (source_id, n)
             where octet_length(u.source_id) between 1 and 2000
             group by (u.n - 1) / 32
             order by min(u.n)) g
    returning 1 + coalesce(cardinality(o.more), 0) as keys
  )
  select coalesce(sum(m.keys), 0)::int from marked m
$$;
comment on function publish.mark(text, text[], jsonb) is
  'Enqueues keys of a projected kind, 32 in a row. Keys of no or more than 2,000 bytes are left '
  'out; returns how many were not.';
revoke all on function publish.mark(text, text[], jsonb) from public;
