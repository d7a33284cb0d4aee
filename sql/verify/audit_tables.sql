create or replace function publish.audit_tables(kind text)
returns table (object text, problem text, hint text)
language sql
stable
as $$
  with read as materialized (
    select r.relid, r.name
      from publish.kind k
     cross join lateral publish.view_reads(to_regclass(k.view)) r
     where k.kind = audit_tables.kind
  )
  select t.relid::text, p.problem, p.hint
    from (select distinct r.relid from read r) t
    join pg_class c on c.oid = t.relid
   cross join lateral (values (
     case c.relkind
       when 'm' then 'a refresh of a materialized view is not captured'
       when 'f' then 'changes of a foreign table cannot be captured'
       else 'the view reads this table, but it is not captured' end,
     case c.relkind
       when 'm' then 'After each REFRESH, run pgpublish verify --repair.'
       when 'f' then 'Run pgpublish verify --repair as often as you need it.'
       else format('select publish_capture(%L, %L, …)', audit_tables.kind, t.relid) end
   )) as p (problem, hint)
   where not publish.is_captured(audit_tables.kind, t.relid)
  union all
  select r.relid::text,
         format('the view reads %s, but an update of that alone is not captured',
                string_agg(quote_ident(r.name), ', ' order by r.name)),
         'Capture the table again with these in columns, or without columns.'
    from publish.capture c
    join read r on r.relid = publish.captured_table(c.capture_id)
   where c.kind = audit_tables.kind and c.columns is not null and r.name is not null
     and not publish.is_derived(
               relation => r.relid, name => r.name,
               columns => array(select publish.watched_columns(c.capture_id)))
     and r.name not in (select w.name from publish.watched_columns(c.capture_id) as w (name))
   group by r.relid
$$;
comment on function publish.audit_tables(text) is
  'Tables and columns that the kind''s view reads and that are not captured.';
revoke all on function publish.audit_tables(text) from public;
