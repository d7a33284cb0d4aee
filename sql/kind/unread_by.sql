-- A view with security_invoker reads as who asks, also from inside a view without it. The drain
-- asks as publish_projector, which may read what others publish.
create or replace function publish.unread_by(reader name, view regclass) returns regclass
language sql
stable
as $$
  with recursive reading as (
    select unread_by.view::oid as relid, 0 as column_no, false as as_asker
     union
    select d.refobjid, d.refobjsubid, coalesce(i.is_invoker, false)
      from reading r
      join pg_class v on v.oid = r.relid and v.relkind = 'v'
      join pg_rewrite w on w.ev_class = v.oid and w.ev_type = '1'
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                      and d.refclassid = 'pg_class'::regclass and d.refobjid <> v.oid
                      and d.deptype = 'n'
      left join lateral (
        select o.option_value::boolean as is_invoker
          from pg_options_to_table(v.reloptions) o
         where o.option_name = 'security_invoker') i on true
  )
  select r.relid::regclass
    from reading r
   where r.as_asker
     and not case when r.column_no > 0
                  then has_column_privilege(unread_by.reader, r.relid, r.column_no::smallint,
                                            'select')
                  else has_any_column_privilege(unread_by.reader, r.relid, 'select') end
   order by 1
   limit 1
$$;
comment on function publish.unread_by(name, regclass) is
  'A table or view that this view reads with the rights of who asks, and that this role may not '
  'read; null if there is none.';
revoke all on function publish.unread_by(name, regclass) from public;
grant execute on function publish.unread_by(name, regclass) to publish_admin;
