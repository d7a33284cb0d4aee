-- The payload stands in the entry and no more in its mark: functions hand on arrays of both by
-- copying them.
create or replace function publish.given_entries(kind publish.kind, marks publish.mark[])
returns publish.entry[]
language plpgsql
stable
as $$
begin
  return array(
    select row(m.mark, m.source_id, m.payload,
               case when f.sqlstate is null
                    then sha256(convert_to(m.payload::text, 'UTF8')) end,
               m.deleted, f.sqlstate,
               case f.sqlstate when 'PT404' then 'kind is not defined'
                               when 'PT400' then 'a payload kind takes a payload'
                               when 'PT422' then publish.payload_fault(m.payload) end
              )::publish.entry
      from (select distinct on (m.source_id collate "C")
                   m.source_id, m.payload, m.deleted,
                   row(m.kind, m.source_id, m.seq, m.payload_no, null, m.deleted, m.headers,
                       m.lookup_id, m.enqueued_at)::publish.mark as mark
              from unnest(given_entries.marks) m
             order by m.source_id collate "C", m.payload_no desc nulls last, m.seq desc) m
     cross join lateral (
       select case when (given_entries.kind).kind_no is null then 'PT404'
                   when m.payload is null and not m.deleted then 'PT400'
                   when pg_column_size(m.payload) > 2000
                        and publish.payload_fault(m.payload) is not null then 'PT422'
                   end as sqlstate) f);
end
$$;
comment on function publish.given_entries(publish.kind, publish.mark[]) is
  'The newest payloads that came with marks of a payload kind, or of one that is not defined, as '
  'entries: one a key.';
revoke all on function publish.given_entries(publish.kind, publish.mark[]) from public;
