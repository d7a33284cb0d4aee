-- Rows are as last analyzed: of a table that never was, nothing is said.
create or replace function publish.audit_lookup_index(capture_id int)
returns table (object text, problem text, hint text)
language sql
as $$
  select s.relid::text, 'a lookup reads all of this table each time',
         format('Create an index on the columns of %s by which this finds its rows: %s', s.relid,
                c.lookup)
    from publish.capture c
    join pg_proc p on p.pronamespace = 'publish_gate'::regnamespace
                  and p.proname = format('capture_%s_lookup', c.capture_id)
   cross join lateral publish.read_plan(
     format('select k.key from publish_gate.%I(''{null}''::%s) k (key)', p.proname,
            format_type(p.proargtypes[0], -1))) r
   cross join lateral unnest(r.scanned) as s (relid)
    join pg_class t on t.oid = s.relid
   where c.capture_id = audit_lookup_index.capture_id and t.reltuples > 1000
$$;
comment on function publish.audit_lookup_index(int) is
  'Tables of more than 1,000 rows that a capture''s lookup reads from end to end, as no index '
  'serves it. Errors: those of planning the lookup behind the gate.';
revoke all on function publish.audit_lookup_index(int) from public;
