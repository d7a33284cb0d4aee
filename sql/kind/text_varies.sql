create or replace function publish.text_varies(type regtype) returns boolean
language sql
stable
as $$
  select t.typcategory in ('A', 'D', 'G', 'R', 'T') or t.typname in ('float4', 'float8', 'bytea')
         or t.typnamespace <> 'pg_catalog'::regnamespace and t.typtype <> 'e'
    from pg_type t
   where t.oid = text_varies.type
$$;
comment on function publish.text_varies(regtype) is
  'Whether the text of this type''s values may depend on settings of the session.';
revoke all on function publish.text_varies(regtype) from public;
