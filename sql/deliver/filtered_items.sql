-- A key may have matched before: then the consumer holds it, and must be told that it no longer
-- should. It cannot hold a key that was published once only, or what is left out of a first sync.
create or replace function publish.filtered_items(
  subscription publish.subscription,
  state publish.state,
  ask publish.ask
) returns table (
  rev bigint, kind text, pub_id uuid, source_id text, schema_version int, deleted boolean,
  payload jsonb, headers jsonb, updated_at timestamptz, attempts int, next_attempt_at timestamptz,
  parked_id uuid, is_skipped boolean
)
language plpgsql
rows 100
as $$
declare
  v_revs bigint[];
  v_payloads text[];
  v_matching int[];
begin
  select array_agg(i.rev), array_agg(i.payload::text) into v_revs, v_payloads
    from publish.next_items(subscription => filtered_items.subscription,
                            state => filtered_items.state, ask => filtered_items.ask) i
   where not i.deleted;
  v_matching := publish.matching(filtered_items.subscription, v_payloads);
  return query
    select i.rev, i.kind, i.pub_id, i.source_id, i.schema_version, i.deleted or m.is_out,
           case when not m.is_out then i.payload end, i.headers, i.updated_at, i.attempts,
           i.next_attempt_at, i.parked_id,
           m.is_out and i.parked_id is null
           and (i.rev <= (filtered_items.subscription).tombstones_after
                or (select p.created_at = p.updated_at
                      from publish.published p
                     where p.rev = i.rev))
      from publish.next_items(subscription => filtered_items.subscription,
                              state => filtered_items.state, ask => filtered_items.ask) i
     cross join lateral (
       select not i.deleted and not exists (select
                                              from unnest(v_matching) as m (n)
                                             where v_revs[m.n] = i.rev) as is_out
     ) m;
end
$$;
comment on function publish.filtered_items(publish.subscription, publish.state, publish.ask) is
  'What publish.next_items gives, as the subscription''s filter leaves it: a change that does not '
  'match is a deletion, and is_skipped if the consumer cannot hold its key.';
revoke all on function publish.filtered_items(publish.subscription, publish.state, publish.ask)
  from public;
