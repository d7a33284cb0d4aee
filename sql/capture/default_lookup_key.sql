create or replace function publish.default_lookup_key(source regclass) returns text
language plpgsql
stable
as $$
declare
  v_key text := (
    select quote_ident(a.attname)
      from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
     where i.indrelid = default_lookup_key.source and i.indisprimary and i.indnkeyatts = 1);
begin
  if v_key is null then
    raise exception 'the table has no primary key of one column' using
      errcode = 'PT400',
      detail = format('table %s', default_lookup_key.source),
      hint = 'Pass key: the column or expression that the lookup gets as $1.';
  end if;
  return v_key;
end
$$;
comment on function publish.default_lookup_key(regclass) is
  'The primary key''s column. Errors: PT400 there is none, or it has several.';
revoke all on function publish.default_lookup_key(regclass) from public;
