create or replace function publish.watched_columns(capture_id int) returns setof name
language sql
stable
as $$
  select distinct a.attname
    from pg_proc p
    join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid
                    and d.refclassid = 'pg_class'::regclass
    join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and a.attnum > 0
   where p.pronamespace = 'publish_gate'::regnamespace
     and p.proname in (format('capture_%s_key', watched_columns.capture_id),
                       format('capture_%s_unchanged', watched_columns.capture_id))
$$;
comment on function publish.watched_columns(int) is
  'The columns that a capture''s key and its columns filter read, as they are named now.';
revoke all on function publish.watched_columns(int) from public;
grant execute on function publish.watched_columns(int) to publish_admin;
