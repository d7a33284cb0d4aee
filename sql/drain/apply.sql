-- By place (ctid): no plan can look for the rows in another way, and the single writer alone moves
-- them.
create or replace function publish.apply(
  head bigint,
  at timestamptz,
  judgement publish.judgement
) returns void
language plpgsql
set work_mem = '64MB'
as $$
declare
  v_of publish.judgement := apply.judgement;
begin
  if v_of.new > 0 then
    insert into publish.published
      (rev, kind, source_id, schema_version, payload, payload_hash, deleted, headers, payload_no,
       created_at, updated_at, scope)
    select apply.head + c.n, c.kind, c.source_id, c.schema_version, c.payload, c.payload_hash,
           c.deleted, (c.mark).headers, (c.mark).payload_no, apply.at, apply.at, c.scope
      from publish.in_order(v_of.changes) c
     where c.verdict = 'new';
  end if;
  if v_of.moved > 0 then
    perform publish.depart(head => apply.head, at => apply.at, changes => v_of.changes);
  end if;
  if v_of.changed > 0 then
    update publish.published p
       set rev = apply.head + c.n, schema_version = c.schema_version, payload = c.payload,
           payload_hash = c.payload_hash, deleted = c.deleted, headers = (c.mark).headers,
           payload_no = (c.mark).payload_no, updated_at = apply.at,
           scope = case when c.deleted then p.scope else c.scope end
      from publish.in_order(v_of.changes) c
     where c.verdict = 'changed' and p.ctid = c.old_place;
  end if;
  if v_of.renumbered > 0 then
    -- The same payload again: a lower number that commits later must still lose.
    update publish.published p
       set payload_no = (c.mark).payload_no
      from unnest(v_of.changes) c
     where c.verdict = 'renumbered' and p.ctid = c.old_place;
  end if;
  if v_of.failed + v_of.locked > 0 then
    -- As the key is spelled in the feed: publish.release looks for it so.
    perform publish.defer(
              marks => array_agg(row(c.kind, c.source_id, (c.mark).seq, (c.mark).payload_no,
                                     case when (c.mark).payload_no is not null
                                          then coalesce((c.mark).payload, c.payload) end,
                                     coalesce((c.mark).deleted, false),
                                     (c.mark).headers, null,
                                     coalesce((c.mark).enqueued_at, apply.at))::publish.mark),
              reason => c.verdict,
              sqlstate => case when c.verdict = 'failed' then c.sqlstate end,
              message => case when c.verdict = 'failed' then c.message end)
       from unnest(v_of.changes) c
      where c.verdict in ('failed', 'locked')
      group by c.verdict, c.sqlstate, c.message;
  end if;
end
$$;
comment on function publish.apply(bigint, timestamptz, publish.judgement) is
  'Writes what publish.judge found: rows of the feed, those that change get the revs after head in '
  'the order of seq over all kinds; and failed and locked keys of publish.deferred.';
revoke all on function publish.apply(bigint, timestamptz, publish.judgement) from public;
