-- Inlined into its caller: no SET clause. One of the halves is empty.
create or replace function publish.next_items(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns table (
  change publish.published, rev bigint, next_attempt_at timestamptz, attempts int, parked_id uuid
)
language sql
stable
rows 100
as $$
  select p.change, (p.change).rev, r.next_attempt_at, r.attempts, r.pub_id
    from publish.next_retries(state => next_items.state, now => (next_items.ask).now,
                              size => (next_items.ask).size) r
    left join lateral (
      select p as change
        from publish.published p
       where p.pub_id >= r.pub_id and p.pub_id <= r.pub_id
       order by p.pub_id, p.rev desc
       limit 1
    ) p on true
   where (next_items.ask).part = 'retries'
  union all
  select n, n.rev, null, coalesce(k.attempts, 0), k.pub_id
    from publish.next_changes(subscription => next_items.subscription, state => next_items.state,
                              head => (next_items.ask).head, size => (next_items.ask).size) n
    left join lateral publish.parked_key((next_items.subscription).subscription_id, n.pub_id) k
           on true
   where (next_items.ask).part = 'fresh'
$$;
comment on function publish.next_items(publish.subscription, publish.state, publish.ask) is
  'The next changes of one part of a lane. change is null for a retry whose change was pruned.';
revoke all on function publish.next_items(publish.subscription, publish.state, publish.ask)
  from public;
