create or replace function publish.view_reads(view regclass)
returns table (relid regclass, name name)
language sql
stable
as $$
  with recursive reading as (
    select 'pg_class'::regclass::oid as classid, view_reads.view::oid as objid, 0 as subid
    union
    select d.refclassid, d.refobjid, d.refobjsubid
      from reading r
      left join pg_rewrite w on r.classid = 'pg_class'::regclass and w.ev_class = r.objid
                            and w.ev_type = '1'
                            and not exists (select from pg_class m
                                             where m.oid = w.ev_class and m.relkind = 'm')
      join pg_depend d on d.deptype = 'n'
                      and (d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                           or d.classid = 'pg_proc'::regclass and r.classid = d.classid
                              and d.objid = r.objid)
                      and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
  )
  select distinct c.oid::regclass, a.attname
    from reading r
    join pg_class c on r.classid = 'pg_class'::regclass and c.oid = r.objid
    left join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
                            and case when c.oid = view_reads.view then a.attnum > 0
                                     else a.attnum = r.subid and r.subid > 0 end
   where c.relkind in ('r', 'p', 'f', 'm')
     and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
$$;
comment on function publish.view_reads(regclass) is
  'The tables and materialized views that a view reads and their columns (null where it reads '
  'none of them), through nested views and SQL functions with a parsed body; not what a '
  'materialized view was made of, and not what other functions read, which PostgreSQL does not '
  'know.';
revoke all on function publish.view_reads(regclass) from public;
grant execute on function publish.view_reads(regclass) to publish_admin;
