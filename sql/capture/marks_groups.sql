create or replace function publish.marks_groups(kind text) returns boolean
language sql
stable
as $$
  select exists (
    select from publish.capture c
     cross join publish.captured_table(c.capture_id) as s (relid)
      join pg_proc p on p.pronamespace = 'publish_gate'::regnamespace
                    and p.proname = format('capture_%s_key', c.capture_id)
     where c.kind = marks_groups.kind
       and case when c.lookup is not null
                then s.relid in (select r.relid
                                   from publish.lookup_reads(c.capture_id) as r (relid))
                else not exists (
                  select from pg_index i
                   where i.indrelid = s.relid and i.indisunique and i.indpred is null
                     and i.indkey::int2[] <@ array(
                           select d.refobjsubid::int2
                             from pg_depend d
                            where d.classid = 'pg_proc'::regclass and d.objid = p.oid
                              and d.refclassid = 'pg_class'::regclass and d.refobjid = s.relid))
           end)
$$;
comment on function publish.marks_groups(text) is
  'Whether a write to a captured table marks keys of other rows of that table too: by a lookup '
  'that reads the table, or by a key that several rows share.';
revoke all on function publish.marks_groups(text) from public;
