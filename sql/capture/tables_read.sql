create or replace function publish.tables_read(view regclass) returns setof regclass
language sql
stable
as $$
  with recursive reading as (
    select 'pg_class'::regclass::oid as classid, tables_read.view::oid as objid
    union
    select d.refclassid, d.refobjid
      from reading r
      left join pg_rewrite w on r.classid = 'pg_class'::regclass and w.ev_class = r.objid
                            and w.ev_type = '1'
      join pg_depend d on d.deptype = 'n'
                      and (d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                           or d.classid = 'pg_proc'::regclass and r.classid = d.classid
                              and d.objid = r.objid)
                      and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
  )
  select c.oid::regclass
    from reading r
    join pg_class c on r.classid = 'pg_class'::regclass and c.oid = r.objid
   where c.relkind in ('r', 'p', 'f')
     and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
$$;
comment on function publish.tables_read(regclass) is
  'The tables a view reads, through nested views and SQL functions with a parsed body; not what '
  'other functions read, which PostgreSQL does not know.';
revoke all on function publish.tables_read(regclass) from public;
