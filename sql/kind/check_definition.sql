create or replace function publish.check_definition(
  kind text,
  schema_version int,
  validator regprocedure,
  retention interval
) returns void
language plpgsql
stable
as $$
begin
  if coalesce(check_definition.kind, '') in ('', '*')
     or octet_length(check_definition.kind) > 200 then
    raise exception 'a kind is named by 1 to 200 bytes of text, and not *, which means all' using
      errcode = 'PT400',
      detail = format('kind %L', left(check_definition.kind, 60)),
      hint = 'Choose a short name, such as the entity''s.';
  end if;
  if coalesce(check_definition.schema_version, 0) < 1 then
    raise exception 'schema_version must be 1 or more' using
      errcode = 'PT400',
      detail = format('kind %L, schema_version %s', check_definition.kind,
                      coalesce(check_definition.schema_version::text, 'null')),
      hint = 'Start at 1 and raise it when the payload''s shape changes.';
  end if;
  if check_definition.retention <= interval '0'
     or check_definition.retention > interval '1000 years' then
    raise exception 'retention must be more than nothing and at most 1000 years' using
      errcode = 'PT400',
      detail = format('kind %L, retention %s', check_definition.kind, check_definition.retention),
      hint = 'Pass an interval such as ''30 days'', or null to keep every row.';
  end if;
  if check_definition.validator is not null and not exists (
    select from pg_proc p
     where p.oid = check_definition.validator
       and p.proargtypes = '3802'::oidvector
       and p.prorettype = 'boolean'::regtype and not p.proretset
       and p.prokind = 'f'
  ) then
    raise exception 'a validator takes one jsonb and returns boolean' using
      errcode = 'PT400',
      detail = format('kind %L, validator %s', check_definition.kind, check_definition.validator),
      hint = 'Create it as: function name(payload jsonb) returns boolean.';
  end if;
end
$$;
comment on function publish.check_definition(text, int, regprocedure, interval) is
  'What publish_define is given besides its view. Errors: PT400 bad argument.';
revoke all on function publish.check_definition(text, int, regprocedure, interval) from public;
