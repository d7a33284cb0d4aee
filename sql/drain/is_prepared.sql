create or replace function publish.is_prepared(kind publish.kind) returns boolean
language sql
stable
as $$
  select exists (
    select from publish.projection p
     where p.kind = is_prepared.kind.kind and p.view = is_prepared.kind.view
       and p.key = is_prepared.kind.key
       and p.validator is not distinct from is_prepared.kind.validator
       and p.relation = to_regclass(is_prepared.kind.view)
       and p.types = publish.key_types(is_prepared.kind))
$$;
comment on function publish.is_prepared(publish.kind) is
  'Whether publish_gate.project_<kind_no> was made of the kind''s definition and of its view as it '
  'is now.';
revoke all on function publish.is_prepared(publish.kind) from public;
