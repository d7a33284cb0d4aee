-- By the catalog and not by to_regprocedure(), which raises where the schema may not be used.
create or replace function publish.audit_kind(kind text)
returns table (object text, problem text, hint text)
language sql
as $$
  select k.validator, v.problem, v.hint
    from publish.kind k
    left join (pg_proc p join pg_namespace n on n.oid = p.pronamespace)
      on format('%I.%I', n.nspname, p.proname) = k.validator
     and p.proargtypes = '3802'::oidvector -- jsonb
   cross join lateral (
     select 'the validator does not exist',
            'Create it again, or define the kind with another validator.'
      where p.oid is null
     union all
     select 'publish_projector may not run the validator',
            format('grant usage on schema %s to publish_projector;'
                   ' grant execute on function %s to publish_projector',
                   p.pronamespace::regnamespace, p.oid::regprocedure)
      where not (has_schema_privilege('publish_projector', p.pronamespace, 'usage')
                 and has_function_privilege('publish_projector', p.oid, 'execute'))
   ) as v (problem, hint)
   where k.kind = audit_kind.kind and k.validator is not null
  union all
  select w.kind, format('a walk over the kind fails: %s', w.message),
         'Correct the view. The walk is retried by itself.'
    from publish.walk w
   where w.kind = audit_kind.kind and w.message is not null
  union all
  select k.view, 'it, or what it is made of, was replaced since all keys were marked',
         format('select publish_walk(%L); publish_maintain does it by itself', k.kind)
    from publish.replaced_views(audit_kind.kind) r
    join publish.kind k on k.kind = r.kind
   where r.in_place
  union all
  select a.object, a.problem, a.hint
    from publish.kind k
   cross join lateral publish.audit_view(k.kind) a
   where k.kind = audit_kind.kind and k.view is not null
  union all
  select a.object, a.problem, a.hint
    from publish.capture c
   cross join lateral publish.audit_lookup(c.capture_id) a
   where c.kind = audit_kind.kind and c.lookup is not null
$$;
comment on function publish.audit_kind(text) is
  'Problems of one kind: its validator, its walks, its view and the lookups of its captures.';
revoke all on function publish.audit_kind(text) from public;
