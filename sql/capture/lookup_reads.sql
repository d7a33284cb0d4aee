create or replace function publish.lookup_reads(capture_id int) returns setof regclass
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select distinct d.refobjid::regclass
    from pg_proc p
    join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid
                    and d.refclassid = 'pg_class'::regclass
   where p.pronamespace = 'publish_gate'::regnamespace
     and p.proname = format('capture_%s_lookup', lookup_reads.capture_id)
$$;
comment on function publish.lookup_reads(int) is
  'The tables and views that a capture''s lookup reads.';
revoke all on function publish.lookup_reads(int) from public;
grant execute on function publish.lookup_reads(int) to publish_admin;
