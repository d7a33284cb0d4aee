-- The planner expects thousands of rows of a table that was never analyzed, or that shrank. So rows
-- are counted where it suspects a view: that costs no more than reading one key of it.
create or replace function publish.audit_key(kind text)
returns table (object text, problem text, hint text)
language sql
as $$
  select k.view, 'reading one key of the view costs as much as reading all of it',
         'Let the view show the key as a plain column that is indexed, without a cast.'
    from publish.check_kind(audit_key.kind) k
   cross join lateral (
     select string_agg(format('%s %s any (''{}''::%s[])', c.ref, c.equals, c.type), ' and ')
              as is_one
       from publish.key_columns(k.kind) c) c
   cross join lateral publish.read_plan(format('select to_jsonb(v.*) from %s v', k.view)) whole
   cross join lateral publish.read_plan(
     format('select to_jsonb(v.*) from %s v where %s', k.view, c.is_one)) one
   where case when whole.rows > 1000 and one.cost * 2 > whole.cost
              then (select count(*) > 1000
                      from publish.read_texts(format('select '''' from %s limit 1001', k.view)))
         end
$$;
comment on function publish.audit_key(text) is
  'Whether an index serves the key of the kind''s view, if it has more than 1,000 rows. Errors: '
  'PT404 the view or its key is missing, and those of a query over the view behind the gate.';
revoke all on function publish.audit_key(text) from public;
