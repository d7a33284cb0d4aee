-- A failed row that somebody has locked (an open publish_retry or publish_define) is not waited
-- for: the mark is tried again two seconds later. A lower payload that fails later does not replace
-- a higher one.
create or replace function publish.defer(
  marks publish.mark[],
  reason text,
  sqlstate text default null,
  message text default null
) returns void
language sql
as $$
  with newest as (
    select distinct on (m.kind collate "C", m.source_id collate "C", m.lookup_id) m.*,
           f.deferred_id
      from unnest(defer.marks) m
      left join lateral publish.failed_of(kind => m.kind, source_id => m.source_id,
                                          lookup_id => m.lookup_id) f
        on defer.reason <> 'locked'
     where octet_length(m.source_id) between 1 and 2000
     order by m.kind collate "C", m.source_id collate "C", m.lookup_id,
              m.payload_no desc nulls last, m.seq desc
  ),
  free as (
    select d.deferred_id
      from publish.deferred d
     where d.deferred_id = any (array(select n.deferred_id from newest n))
       for update skip locked
  )
  insert into publish.deferred as d
    (due_at, reason, kind, source_id, lookup_id, payload_no, payload, deleted, headers,
     enqueued_at, attempts, sqlstate, message, first_failed_at, last_failed_at)
  select t.now + case when not f.failed then interval '2 seconds'
                      when defer.sqlstate = '57014' then interval '0'
                      else publish.backoff(attempts => 1, backoff_min => '10 seconds',
                                           backoff_max => '1 hour') end,
         case when f.failed then 'failed' else 'locked' end, m.kind, m.source_id, m.lookup_id,
         m.payload_no, m.payload, m.deleted, m.headers, m.enqueued_at,
         (f.failed and defer.reason = 'failed')::int,
         case when f.failed then defer.sqlstate end, case when f.failed then defer.message end,
         case when f.failed then t.now end, case when f.failed then t.now end
    from newest m
   cross join (select clock_timestamp()) as t (now)
   cross join lateral (
     select defer.reason <> 'locked'
            and (m.deferred_id is null
                 or m.deferred_id = any (array(select r.deferred_id from free r))) as failed) f
  on conflict (kind, source_id, coalesce(lookup_id, 0)) where reason = 'failed' do update
     set payload_no = greatest(d.payload_no, excluded.payload_no),
         payload = case when d.payload_no > excluded.payload_no then d.payload
                        else excluded.payload end,
         deleted = case when d.payload_no > excluded.payload_no then d.deleted
                        else excluded.deleted end,
         headers = case when d.payload_no > excluded.payload_no then d.headers
                        else excluded.headers end,
         sqlstate = excluded.sqlstate, message = excluded.message,
         attempts = d.attempts + excluded.attempts, last_failed_at = excluded.last_failed_at,
         due_at = excluded.last_failed_at
                  + case when excluded.sqlstate = '57014' then interval '0'
                         else publish.backoff(attempts => d.attempts + excluded.attempts,
                                              backoff_min => '10 seconds',
                                              backoff_max => '1 hour') end
$$;
comment on function publish.defer(publish.mark[], text, text, text) is
  'Puts marks into publish.deferred: locked ones for two seconds, failed ones for 10 s, doubled '
  'with each failure, at most 1 h, those that stopped a drain (57014) for the next drain but one; '
  'aside: so too, but never tried. Of several marks of a key the newest.';
revoke all on function publish.defer(publish.mark[], text, text, text) from public;
