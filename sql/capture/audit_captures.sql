create or replace function publish.audit_captures(capture_id int default null)
returns table (kind text, object text, problem text, hint text)
language sql
stable
as $$
  with capture as (
    select c.*, publish.captured_table(c.capture_id) as relid,
           format('capture_%s', c.capture_id) as name,
           (select p.oid from pg_proc p
             where p.pronamespace = 'publish_gate'::regnamespace
               and p.proname = format('capture_%s', c.capture_id)) as function,
           k.key <> c.for_key as is_outdated
      from publish.capture c
      join publish.kind k on k.kind = c.kind
     where c.capture_id = coalesce(audit_captures.capture_id, c.capture_id)
  ),
  expected as (
    select c.*, d.relid as tableoid, format('publish_%s_%s', c.capture_id, o.op) as tgname, o.op,
           t.oid as trigger, t.tgenabled, t.tgfoid
      from capture c
     cross join lateral publish.with_descendants(c.relid) as d (relid)
     cross join (values ('insert'), ('update'), ('delete'), ('truncate')) as o (op)
      left join pg_trigger t on t.tgrelid = d.relid
                            and t.tgname = format('publish_%s_%s', c.capture_id, o.op)
     where c.relid is not null
  )
  select c.kind, c.source, 'the captured table is gone',
         format('select publish_uncapture(%L, %L)', c.kind, c.source)
    from capture c
   where c.relid is null
  union all
  select c.kind, c.relid::text, 'functions of the capture are gone, as what they read was dropped '
         'with CASCADE', 'Capture the table again, with a key and a lookup of what is there.'
    from capture c
   where c.relid is not null
     and exists (
       select from unnest(array['', '_key']
                          || case when c.columns is not null then array['_unchanged'] end
                          || case when c.columns is not null and not c.by_row
                                  then array['_same'] end
                          || case when c.lookup is not null then array['_lookup'] end) as f (part)
        where to_regproc('publish_gate.' || c.name || f.part) is null)
  union all
  select c.kind, coalesce(c.relid::text, c.source),
         'the trigger function is not what publish_capture made of it',
         'select publish.renew_captures()'
    from capture c
    join pg_proc p on p.oid = c.function
    join publish.capture o on o.capture_id = c.capture_id
   where not publish.is_as_written(o, p.oid)
  union all
  select c.kind, coalesce(c.relid::text, c.source),
         'the kind has another key since the table was captured', 'Capture the table again.'
    from capture c
   where c.is_outdated
  union all
  select c.kind, c.relid::text, 'it has become a partition or a child, and its triggers do not see '
         'what is written through its parent', publish.capture_sql(c.capture_id, false)
    from capture c
   where not c.by_row and exists (select from pg_inherits i where i.inhrelid = c.relid)
  union all
  select e.kind, e.tableoid::text,
         case when count(e.trigger) = 0 and count(*) = 4 and e.tableoid <> e.relid
              then 'a new partition or child is not captured'
              when bool_or(e.trigger is null) then format('no trigger for %s',
                string_agg(e.op, ', ' order by e.op) filter (where e.trigger is null))
              else 'a trigger was replaced by another' end,
         publish.capture_sql(e.capture_id, false) || '; the drain then walks the kind'
    from expected e
   group by e.kind, e.capture_id, e.tableoid, e.relid, e.function
  having bool_or(e.trigger is null or e.tgfoid <> e.function)
  union all
  select c.kind, t.tgrelid::regclass::text,
         'it is no partition or child any more, and what it held is still published',
         format('select publish_walk(%L); %s', c.kind, string_agg(
           format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass), '; '
           order by t.tgname))
    from capture c
    join pg_trigger t on t.tgfoid = c.function
   where t.tgrelid not in (select d.relid from publish.with_descendants(c.relid) as d (relid))
   group by c.kind, c.capture_id, t.tgrelid
  union all
  select e.kind, e.tableoid::text,
         format('disabled for %s', string_agg(e.op, ', ' order by e.op)),
         publish.capture_sql(e.capture_id, false) || '; the drain then walks the kind'
    from expected e
   where e.tgenabled in ('D', 'R')
   group by e.kind, e.capture_id, e.tableoid
  union all
  select e.kind, e.tableoid::text,
         'it receives rows by logical replication, which its triggers do not see',
         publish.capture_sql(e.capture_id, true) || '; the drain then walks the kind'
    from expected e
   where exists (select from pg_subscription_rel s where s.srrelid = e.tableoid)
     and (not e.always or e.tgenabled = 'O')
   group by e.kind, e.capture_id, e.tableoid
$$;
comment on function publish.audit_captures(int) is
  'Captures that cannot work, one or all: the table, a function or a trigger is gone, disabled or '
  'replaced, a partition is not captured or was detached, or replicated rows are not.';
revoke all on function publish.audit_captures(int) from public;
