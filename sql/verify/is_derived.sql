create or replace function publish.is_derived(relation regclass, name name, columns name[])
returns boolean
language sql
stable
as $$
  select exists (
    select from pg_attribute g
     where g.attrelid = is_derived.relation and g.attname = is_derived.name
       and (g.attgenerated = 'v' -- no trigger sees it
            or g.attgenerated = 's' and not exists (
              select from pg_depend d
                join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
               where d.refclassid = 'pg_class'::regclass and d.refobjid = g.attrelid
                 and a.attnum <> g.attnum and a.attname <> all (is_derived.columns)
                 and (d.classid = 'pg_class'::regclass and d.objid = g.attrelid
                      and d.objsubid = g.attnum
                      or d.classid = 'pg_attrdef'::regclass
                         and d.objid = (select f.oid from pg_attrdef f
                                         where f.adrelid = g.attrelid and f.adnum = g.attnum)))))
$$;
comment on function publish.is_derived(regclass, name, name[]) is
  'Whether a column is generated, and changes only together with these columns.';
revoke all on function publish.is_derived(regclass, name, name[]) from public;
