-- From the rules and not from pg_get_viewdef(), which locks what a view reads, and so would wait
-- for a table that is being replaced. Not by to_regclass(), which raises where the schema may not
-- be used.
create or replace function publish.view_digest(view text) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive this as (
    select c.oid
      from parse_ident(view_digest.view) as i (name)
      join pg_namespace n on n.nspname = i.name[1]
      join pg_class c on c.relnamespace = n.oid and c.relname = i.name[2]
  ),
  reading as (
    select 'pg_class'::regclass::oid as classid, t.oid as objid from this t
    union
    select d.refclassid, d.refobjid
      from reading r
     cross join lateral (
       select w.refclassid, w.refobjid
         from pg_rewrite u
         join pg_depend w on w.classid = 'pg_rewrite'::regclass and w.objid = u.oid
                         and w.deptype = 'n'
        where r.classid = 'pg_class'::regclass and u.ev_class = r.objid and u.ev_type = '1'
          and not exists (select from pg_class m where m.oid = r.objid and m.relkind = 'm')
       union all
       select f.refclassid, f.refobjid
         from pg_depend f
        where r.classid = 'pg_proc'::regclass and f.classid = r.classid and f.objid = r.objid
          and f.deptype = 'n'
     ) d
     where d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
  ),
  part as (
    select concat_ws(' ', 'view', u.ev_class, u.ev_action) as text
      from reading r
      join pg_rewrite u on u.ev_class = r.objid and u.ev_type = '1'
      join pg_class c on c.oid = u.ev_class and c.relkind = 'v'
     where r.classid = 'pg_class'::regclass
    union all
    select concat_ws(' ', 'function', p.oid, p.prosrc, p.prosqlbody, p.proconfig)
      from reading r
      join pg_proc p on p.oid = r.objid
     where r.classid = 'pg_proc'::regclass
    union all
    select concat_ws(' ', 'column', a.attnum, a.attname, a.atttypid, a.atttypmod, (
             select string_agg(e.enumlabel, ',' order by e.enumsortorder)
               from pg_enum e
              where e.enumtypid in (a.atttypid, t.typelem, t.typbasetype)))
      from this v
      join pg_attribute a on a.attrelid = v.oid
      join pg_type t on t.oid = a.atttypid
     where a.attnum > 0 and not a.attisdropped
  )
  select (select t.oid from this t) || ':' || encode(sha256(convert_to(
           string_agg(p.text, E'\n' order by p.text collate "C"), 'UTF8')), 'hex')
    from part p
$$;
comment on function publish.view_digest(text) is
  'Differs when a view shows other rows without a write: it, a view or a function that it reads '
  'was replaced, a column got another name or type, or an enum''s value another name. Begins with '
  'the OID of the view. Null: no view. '
  'Not found: what functions without a parsed body call.';
revoke all on function publish.view_digest(text) from public;
