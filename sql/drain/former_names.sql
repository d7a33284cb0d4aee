create or replace function publish.former_names(marks publish.mark[]) returns publish.mark[]
language sql
stable
as $$
  select array_agg(
           row(coalesce(publish.present_name(m.kind, m.enqueued_at), m.kind), m.source_id, m.seq,
               m.payload_no, m.payload, m.deleted, m.headers, m.lookup_id,
               m.enqueued_at)::publish.mark
           order by m.n)
    from unnest(former_names.marks) with ordinality as m
           (kind, source_id, seq, payload_no, payload, deleted, headers, lookup_id, enqueued_at, n)
$$;
comment on function publish.former_names(publish.mark[]) is
  'These marks, each with the name that its kind has now.';
revoke all on function publish.former_names(publish.mark[]) from public;
