create or replace function publish.put_off(marks publish.mark[]) returns void
language sql
as $$
  insert into publish.deferred as d
    (due_at, reason, kind, source_id, lookup_id, payload_no, payload, deleted, headers,
     enqueued_at)
  select distinct on (m.kind collate "C", m.source_id collate "C", m.lookup_id)
         'infinity'::timestamptz, 'off', m.kind, m.source_id, m.lookup_id, m.payload_no, m.payload,
         m.deleted, m.headers, m.enqueued_at
    from unnest(put_off.marks) m
   where octet_length(m.source_id) between 1 and 2000
   order by m.kind collate "C", m.source_id collate "C", m.lookup_id,
            m.payload_no desc nulls last, m.seq desc
  on conflict (kind, source_id, coalesce(lookup_id, 0)) where reason = 'off' do update
     set payload_no = excluded.payload_no, payload = excluded.payload, deleted = excluded.deleted,
         headers = excluded.headers
   where excluded.payload_no >= d.payload_no -- equal: delayed to the same time, enqueued later
$$;
comment on function publish.put_off(publish.mark[]) is
  'Puts marks of kinds that are switched off into publish.deferred until they are on again, the '
  'newest of each key.';
revoke all on function publish.put_off(publish.mark[]) from public;
