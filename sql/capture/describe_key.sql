create or replace function publish.describe_key(
  capture publish.capture,
  source regclass,
  path text,
  out types regtype[],
  out row_sql text,
  out plain boolean
)
language plpgsql
as $$
declare
  v_parts int := case when describe_key.capture.lookup is not null then 1
                      else (select cardinality(k.key)
                              from publish.kind k
                             where k.kind = describe_key.capture.kind) end;
  v_key record;
  v_virtual text;
  v_hint text := case
    when v_parts = 1 then 'Pass one column, or one expression over the row, of a simple type.'
    else format('Pass %s columns or expressions of simple types, in the order of the kind''s key.',
                v_parts) end;
begin
  begin
    select d.* into v_key
      from publish.describe_query(
        query => format('select %s from %s as %I', describe_key.capture.key,
                        publish.qualified_name(describe_key.source),
                        (select c.relname from pg_class c where c.oid = describe_key.source)),
        parts => v_parts,
        path => describe_key.path) d;
  exception
    when operator_intervention or transaction_rollback or insufficient_resources
         or lock_not_available then
      raise;
    when others then
      raise exception 'the key is not valid SQL here' using
        errcode = 'PT400',
        detail = format('%s: %s', describe_key.capture.key, sqlerrm),
        hint = case when sqlstate = '42501'
                    then 'Grant the right: grant usage on schema … to publish_owner, '
                         'publish_projector'
                    else v_hint end;
  end;
  if v_key.reads <> array[describe_key.source] or v_key.whole and v_key.reads is not null then
    raise exception 'a key is made of columns of one row' using
      errcode = 'PT400',
      detail = format('%s reads %s, or uses the whole row, a system column, an aggregate or a '
                      'window', describe_key.capture.key, v_key.reads),
      hint = 'What must be looked up elsewhere goes into lookup: the drain asks it when '
             'everything has committed; a trigger could miss what commits at the same time.';
  end if;
  if cardinality(v_key.types) <> v_parts
     or exists (select from pg_type t
                 where t.oid = any (v_key.types) and (t.typcategory = 'A' or t.typtype = 'c')) then
    raise exception 'the key does not fit that of the kind' using
      errcode = 'PT400',
      detail = format('%s has the types %s', describe_key.capture.key, v_key.types),
      hint = v_hint;
  end if;
  select a.attname into v_virtual
    from pg_attribute a
   where a.attrelid = describe_key.source and a.attgenerated = 'v'
     and (a.attname = any (describe_key.capture.columns) or a.attname = any (v_key.columns))
   limit 1;
  if found then
    raise exception 'a trigger does not see a virtual column' using
      errcode = 'PT400',
      detail = format('table %s, column %I', describe_key.source, v_virtual),
      hint = 'Name the columns it is computed from, and its expression where it is the key.';
  end if;
  describe_key.types := v_key.types;
  describe_key.row_sql := 'select ' || coalesce(
    (select string_agg(format('($1).%1$I as %1$I', c.name), ', ')
       from unnest(v_key.columns) as c (name)), '1');
  describe_key.plain := v_key.plain;
end
$$;
comment on function publish.describe_key(publish.capture, regclass, text) is
  'What the key of a capture is: its types, a query for the columns it is made of from a row $1, '
  'and whether these are all of it (plain). Errors: PT400 it is not valid, or made of more than '
  'columns of one row.';
revoke all on function publish.describe_key(publish.capture, regclass, text) from public;
