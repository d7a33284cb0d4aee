create or replace function publish.audit_key(kind text)
returns table (object text, problem text, hint text)
language sql
as $$
  select k.view, 'reading one key of the view costs as much as reading all of it',
         'Let the view show the key as a plain column that is indexed, without a cast.'
    from publish.check_kind(audit_key.kind) k
   cross join lateral (
     select string_agg(format('%s %s any (''{NULL}''::%s[])', c.ref, c.equals, c.type), ' and ')
              as is_one
       from publish.key_columns(k.kind) c) c
   cross join lateral publish.read_plan(format('select to_jsonb(v.*) from %s v', k.view)) whole
   cross join lateral publish.read_plan(
     format('select to_jsonb(v.*) from %s v where %s', k.view, c.is_one)) one
   where whole.rows > 1000 and one.cost * 2 > whole.cost
$$;
comment on function publish.audit_key(text) is
  'Whether an index serves the key of the kind''s view. Errors: PT404 the view or its key is '
  'missing, and those of planning a query over the view behind the gate.';
revoke all on function publish.audit_key(text) from public;
