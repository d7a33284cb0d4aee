create or replace function publish.marked_keys(kind text) returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select k.key
      from publish.outbox o
     cross join lateral unnest(o.source_ids) as k (key)
     where o.xid = pg_current_xact_id() and o.kind = marked_keys.kind and o.lookup_id is null;
  return query
    select f.key
      from (select o.lookup_id, array_agg(distinct i.id) as ids
              from publish.outbox o
             cross join lateral unnest(o.source_ids) as i (id)
             where o.xid = pg_current_xact_id() and o.kind = marked_keys.kind
               and o.lookup_id is not null
             group by o.lookup_id) g
     cross join lateral publish.look_up(lookup_id => g.lookup_id, ids => g.ids, most => null)
                        as f (key);
  if exists (select from publish.walk w
              where w.kind = marked_keys.kind and w.requested_at >= transaction_timestamp()) then
    return next null;
  end if;
end
$$;
comment on function publish.marked_keys(text) is
  'The keys of a kind that this transaction has marked, lookups included; null among them: all, by '
  'a walk.';
revoke all on function publish.marked_keys(text) from public;
grant execute on function publish.marked_keys(text) to publish_admin;
