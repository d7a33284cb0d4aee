create or replace function publish.views_below(view regclass) returns setof oid
language sql
stable
as $$
  with recursive reading as (
    select views_below.view::oid as oid
    union
    select c.oid
      from reading r
      join pg_rewrite w on w.ev_class = r.oid and w.ev_type = '1'
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                      and d.refclassid = 'pg_class'::regclass
      join pg_class c on c.oid = d.refobjid and c.relkind = 'v'
  )
  select r.oid from reading r
$$;
comment on function publish.views_below(regclass) is
  'This relation and, if it is a view, the views that it reads, also through others of them.';
revoke all on function publish.views_below(regclass) from public;
grant execute on function publish.views_below(regclass) to publish_admin;
