-- Inlined into its callers: no SET clause. The range on pub_id, though it is one key, leaves one
-- plan with any statistics: by parked_pkey. "pub_id = …" may also be read from
-- parked_next_attempt_at_idx, through all that is parked, by a plan made while nothing was.
create or replace function publish.parked_key(subscription_id int, pub_id uuid)
returns setof publish.parked
language sql
stable
rows 1
as $$
  select k.*
    from publish.parked k
   where k.subscription_id = parked_key.subscription_id
     and k.pub_id >= parked_key.pub_id and k.pub_id <= parked_key.pub_id
   order by k.pub_id
   limit 1
$$;
comment on function publish.parked_key(int, uuid) is
  'What a subscription has parked of a key: its row, or none.';
revoke all on function publish.parked_key(int, uuid) from public;
