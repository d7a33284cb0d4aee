-- Inlined into its caller: no SET clause. One of the halves is empty.
create or replace function publish.page_items(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns table (
  rev bigint, kind text, pub_id uuid, source_id text, schema_version int, deleted boolean,
  payload jsonb, headers jsonb, updated_at timestamptz, attempts int, next_attempt_at timestamptz,
  parked_id uuid, is_skipped boolean
)
language sql
stable
rows 100
as $$
  select n.*, false
    from publish.next_items(subscription => page_items.subscription, state => page_items.state,
                            ask => page_items.ask) n
   where (page_items.subscription).filter is null
  union all
  select f.*
    from publish.filtered_items(subscription => page_items.subscription,
                                state => page_items.state, ask => page_items.ask) f
   where (page_items.subscription).filter is not null
$$;
comment on function publish.page_items(publish.subscription, publish.state, publish.ask) is
  'The next changes of one part of a lane; is_skipped: the subscription''s filter leaves it out.';
revoke all on function publish.page_items(publish.subscription, publish.state, publish.ask)
  from public;
