create or replace function publish.default_key(kind publish.kind, source regclass) returns text
language plpgsql
stable
as $$
declare
  v_key text := (
    select string_agg(quote_ident(o.source_name), ', ' order by k.n)
      from unnest(default_key.kind.key) with ordinality as k (name, n)
     cross join lateral publish.column_origin(default_key.kind.view::regclass, k.name) o
     where o.source = default_key.source
    having count(*) = cardinality(default_key.kind.key));
begin
  if v_key is null then
    raise exception 'the view does not show its key from this table' using
      errcode = 'PT400',
      detail = format('kind %L, view %s, key %s, table %s', default_key.kind.kind,
                      default_key.kind.view, default_key.kind.key, default_key.source),
      hint = 'Pass key: what in a row of this table is the key of the kind, as in '
             'key => ''question_id''. Where a row does not say, pass lookup.';
  end if;
  return v_key;
end
$$;
comment on function publish.default_key(publish.kind, regclass) is
  'The table''s columns that the kind''s view shows as its key. Errors: PT400 it shows others.';
revoke all on function publish.default_key(publish.kind, regclass) from public;
