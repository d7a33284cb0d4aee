-- A row that somebody has locked (an open publish_set switches the kind on) is not waited for,
-- as in publish.defer: the mark is tried again two seconds later.
create or replace function publish.put_off(marks publish.mark[]) returns void
language sql
as $$
  with newest as (
    select distinct on (m.kind collate "C", m.source_id collate "C", m.lookup_id) m.*,
           o.deferred_id
      from unnest(put_off.marks) m
      left join lateral publish.off_of(kind => m.kind, source_id => m.source_id,
                                       lookup_id => m.lookup_id) o on true
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
     enqueued_at)
  select case when f.is_free then 'infinity' else clock_timestamp() + interval '2 seconds' end,
         case when f.is_free then 'off' else 'locked' end, m.kind, m.source_id, m.lookup_id,
         m.payload_no, m.payload, m.deleted, m.headers, m.enqueued_at
    from newest m
   cross join lateral (
     select m.deferred_id is null
            or m.deferred_id = any (array(select r.deferred_id from free r)) as is_free) f
  on conflict (kind, source_id, coalesce(lookup_id, 0)) where reason = 'off' do update
     set payload_no = excluded.payload_no, payload = excluded.payload, deleted = excluded.deleted,
         headers = excluded.headers
   where excluded.payload_no >= d.payload_no -- equal: delayed to the same time, enqueued later
$$;
comment on function publish.put_off(publish.mark[]) is
  'Puts marks of kinds that are switched off into publish.deferred until they are on again, the '
  'newest of each key.';
revoke all on function publish.put_off(publish.mark[]) from public;
