-- A slot is written in the order of time and never changed. From the page of its first row that is
-- not drained to its end, sixteen pages are looked at; the others are taken to be alike. Rows that
-- are not committed do not count, also where they fill most pages.
create or replace function publish.estimated_marks(state publish.drain) returns bigint
language plpgsql
stable
as $$
declare
  c_pages constant int := 16;
  v_open xid8[] := array(select pg_snapshot_xip((estimated_marks.state).drained));
begin
  return (
    select coalesce(sum(s.marks * s.pages / least(s.pages, c_pages)), 0)::bigint
      from (
        select f.pages, coalesce(sum(m.marks), 0) as marks
          from generate_series(0, 2) as s (slot)
         cross join lateral (
           select min(o.page) as first,
                  pg_relation_size(format('publish.outbox_%s', s.slot))
                  / current_setting('block_size')::int - min(o.page) as pages
             from publish.undrained(drained => (estimated_marks.state).drained,
                                    partial_xid => (estimated_marks.state).partial_xid,
                                    partial_seq => (estimated_marks.state).partial_seq,
                                    seen => pg_current_snapshot(),
                                    own => pg_current_xact_id_if_assigned()) r
            cross join lateral (
              select (o.ctid::text::point)[0]::bigint as page
                from publish.outbox o
               where o.slot = s.slot and (o.xid, o.seq) > (r.lo, r.after) and o.xid < r.hi
               order by o.xid, o.seq
               limit 1
            ) o
         ) f
         cross join lateral generate_series(0, least(f.pages, c_pages) - 1) as n (n)
         cross join lateral (
           select f.first + (n.n * f.pages + f.pages / 2) / least(f.pages, c_pages) as page
         ) p
         cross join lateral (
           select sum(cardinality(o.source_ids)) as marks
             from publish.outbox o
            where o.slot = s.slot
              and o.ctid >= format('(%s,0)', p.page)::tid
              and o.ctid < format('(%s,0)', p.page + 1)::tid
              and (o.xid >= pg_snapshot_xmax((estimated_marks.state).drained)
                   or o.xid = any (v_open))
              and (o.xid = (estimated_marks.state).partial_xid
                   and o.seq <= (estimated_marks.state).partial_seq) is not true
         ) m
         group by s.slot, f.first, f.pages) s);
end
$$;
comment on function publish.estimated_marks(publish.drain) is
  'About how many marks of the outbox are not drained, from a few of their pages.';
revoke all on function publish.estimated_marks(publish.drain) from public;
