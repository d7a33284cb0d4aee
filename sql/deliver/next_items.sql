-- Inlined into its caller: no SET clause. One of the halves is empty. Column by column: a change
-- as one value would be taken apart again for each of its columns.
create or replace function publish.next_items(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns table (
  rev bigint, kind text, pub_id uuid, source_id text, schema_version int, deleted boolean,
  payload jsonb, headers jsonb, updated_at timestamptz, attempts int, next_attempt_at timestamptz,
  parked_id uuid
)
language sql
stable
rows 100
as $$
  select p.rev, p.kind, p.pub_id, p.source_id, p.schema_version, p.deleted, p.payload, p.headers,
         p.updated_at, r.attempts, r.next_attempt_at, r.pub_id
    from publish.next_retries(state => next_items.state, now => (next_items.ask).now,
                              size => (next_items.ask).size) r
    left join lateral (
      select p.*
        from publish.published p
       where p.pub_id >= r.pub_id and p.pub_id <= r.pub_id
       order by p.pub_id, p.rev desc
       limit 1
    ) p on true
   where (next_items.ask).part = 'retries'
  union all
  select n.rev, n.kind, n.pub_id, n.source_id, n.schema_version, n.deleted, n.payload, n.headers,
         n.updated_at, coalesce(n.attempts, 0), null, n.parked_id
    from publish.next_changes(subscription => next_items.subscription, state => next_items.state,
                              head => (next_items.ask).head, size => (next_items.ask).size) n
   where (next_items.ask).part = 'fresh'
$$;
comment on function publish.next_items(publish.subscription, publish.state, publish.ask) is
  'The next changes of one part of a lane. rev is null for a retry whose change was pruned.';
revoke all on function publish.next_items(publish.subscription, publish.state, publish.ask)
  from public;
