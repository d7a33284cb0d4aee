create or replace function publish.check_key(
  kind text,
  view regclass,
  view_name text,
  key text[]
) returns void
language plpgsql
stable
as $$
declare
  v_missing text;
begin
  if check_key.view is null then
    if check_key.key is not null then
      raise exception 'a key needs a view' using
        errcode = 'PT400',
        detail = format('kind %L, key %s', check_key.kind, check_key.key),
        hint = 'Pass view as well, or leave key out for a payload kind.';
    end if;
    return;
  end if;
  select k.name into v_missing
    from unnest(check_key.key) as k (name)
   where not exists (
     select from pg_attribute a
      where a.attrelid = check_key.view and a.attname = k.name
        and a.attnum > 0 and not a.attisdropped
   )
   limit 1;
  if found or cardinality(check_key.key) = 0
     or cardinality(check_key.key) <> (select count(distinct k.name)
                                         from unnest(check_key.key) as k (name)) then
    raise exception 'the view does not have the key column' using
      errcode = 'PT400',
      detail = format('kind %L, view %s, key %s, missing %L',
                      check_key.kind, check_key.view_name, check_key.key, v_missing),
      hint = publish.key_hint(check_key.view, v_missing);
  end if;
  select k.name into v_missing
    from unnest(check_key.key) as k (name)
    join pg_attribute a on a.attrelid = check_key.view and a.attname = k.name
    join pg_type t on t.oid = a.atttypid
   where t.typcategory = 'A' or t.typtype in ('c', 'p')
   limit 1;
  if found then
    raise exception 'a key column must be of a simple type' using
      errcode = 'PT400',
      detail = format('kind %L, view %s, column %L is an array or a row', check_key.kind,
                      check_key.view_name, v_missing),
      hint = 'Name the columns the key is made of; a key may have several.';
  end if;
  select k.name into v_missing
    from unnest(check_key.key) as k (name)
    join pg_attribute a on a.attrelid = check_key.view and a.attname = k.name
   where publish.key_operator(a.atttypid, 5) is null
   limit 1;
  if found then
    raise exception 'a key column must be of a type that has an order' using
      errcode = 'PT400',
      detail = format('kind %L, view %s, column %L has no default btree operator class',
                      check_key.kind, check_key.view_name, v_missing),
      hint = 'Cast it in the view, as in id::text as id.';
  end if;
end
$$;
comment on function publish.check_key(text, regclass, text, text[]) is
  'The key columns of a view. Errors: PT400 there is no view, or one is missing, named twice, or '
  'of no type for a key.';
revoke all on function publish.check_key(text, regclass, text, text[]) from public;
