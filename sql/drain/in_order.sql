create or replace function publish.in_order(changes publish.change[])
returns table (
  n bigint, verdict text, old_place tid, mark publish.mark, kind text, source_id text,
  schema_version int, payload jsonb, payload_hash bytea, deleted boolean,
  scope text
)
language sql
stable
as $$
  select row_number() over (order by (c.mark).seq, c.kind collate "C", c.source_id collate "C"),
         c.verdict, c.old_place, c.mark, c.kind, c.source_id, c.schema_version, c.payload,
         c.payload_hash, c.deleted, c.scope
    from unnest(in_order.changes) c
   where c.verdict in ('new', 'changed')
$$;
comment on function publish.in_order(publish.change[]) is
  'The changes that get a rev, numbered from 1 in the order of their marks over all kinds.';
revoke all on function publish.in_order(publish.change[]) from public;
