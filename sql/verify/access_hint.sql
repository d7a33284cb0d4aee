-- The drain reads with row_security off, which raises where a policy would hide rows. A view reads
-- its tables with the rights of its owner: it shows all rows if it has the owner of the tables and
-- is not security_invoker. No role is given BYPASSRLS for this.
create or replace function publish.access_hint(relation regclass) returns text
language sql
stable
as $$
  select case
    when not has_schema_privilege('publish_projector', c.relnamespace, 'usage')
    then format('grant usage on schema %s to publish_projector', c.relnamespace::regnamespace)
    when not has_table_privilege('publish_projector', c.oid, 'select')
    then format('grant select on %s to publish_projector', c.oid::regclass)
    when g.tables is null and i.is_invoker
    then format('The view reads its tables as who asks. Run: alter view %s set '
                '(security_invoker = off), or grant select on them to publish_projector',
                c.oid::regclass)
    when c.relkind in ('r', 'p') and c.relrowsecurity
    then format('Row security would hide rows of %s. Read it through a view that %s owns.',
                g.tables, c.relowner::regrole)
    when g.tables is not null
    then format('Row security of %s would hide rows of the view. %s. The feed then holds all rows '
                'that the view shows.',
                g.tables, coalesce('Run: ' || g.statements,
                                   'Let their owner own each view that reads them')) end
    from pg_class c
   cross join lateral (
     select c.relkind = 'v' and exists (
              select from pg_options_to_table(c.reloptions) o
               where o.option_name = 'security_invoker' and o.option_value::boolean) as is_invoker
   ) i
   cross join lateral (
     select string_agg(distinct t.oid::regclass::text, ', ') as tables,
            string_agg(distinct s.statement, '; ') as statements
       from (select distinct r.relid from publish.view_reads(access_hint.relation) r) r
       join pg_class t on t.oid = r.relid and t.relrowsecurity
      cross join lateral (values
        (case when i.is_invoker
              then format('alter view %s set (security_invoker = off)', c.oid::regclass) end),
        (case when c.relkind = 'v' and c.relowner <> t.relowner
              then format('alter view %s owner to %s', c.oid::regclass, t.relowner::regrole) end),
        (case when t.relforcerowsecurity
              then format('alter table %s no force row level security', t.oid::regclass) end)
      ) as s (statement)
   ) g
   where c.oid = access_hint.relation
$$;
comment on function publish.access_hint(regclass) is
  'What to do where publish_projector may not read this view or table, or row security would hide '
  'rows of it; null where neither is known.';
revoke all on function publish.access_hint(regclass) from public;
