-- Types without their length: a cast to varchar(3) would cut a longer key and find another row.
create or replace function publish.key_columns(kind text)
returns table (
  n int, name text, ref text, type text, type_oid oid, collation text, equals text, at_least text,
  above text
)
language plpgsql
stable
as $$
declare
  v_kind publish.kind := publish.check_kind(key_columns.kind);
begin
  if v_kind.view is null then
    raise exception 'this kind has no view' using
      errcode = 'PT404',
      detail = format('kind %L', key_columns.kind),
      hint = 'It is a payload kind: call publish_enqueue with each payload.';
  end if;
  return query
    select c.n::int, c.name, format('v.%I', a.attname), format_type(a.atttypid, -1), a.atttypid,
           (select format(' collate %s.%I', o.collnamespace::regnamespace, o.collname)
              from pg_collation o where o.oid = nullif(a.attcollation, 'default'::regcollation)),
           publish.key_operator(a.atttypid, 3), publish.key_operator(a.atttypid, 4),
           publish.key_operator(a.atttypid, 5)
      from unnest(v_kind.key) with ordinality as c (name, n)
      join pg_attribute a on a.attname = c.name and a.attnum > 0 and not a.attisdropped
     where a.attrelid = to_regclass(v_kind.view)
     order by c.n;
  if not exists (select from pg_class c where c.oid = to_regclass(v_kind.view))
     or exists (select from unnest(v_kind.key) as c (name)
                 where not exists (select from pg_attribute a
                                    where a.attrelid = to_regclass(v_kind.view)
                                      and a.attname = c.name and a.attnum > 0
                                      and not a.attisdropped)) then
    raise exception 'the view or its key column is gone' using
      errcode = 'PT404',
      detail = format('kind %L, view %s, key %s', key_columns.kind, v_kind.view, v_kind.key),
      hint = 'Restore it, or call publish_define with what replaced it.';
  end if;
end
$$;
comment on function publish.key_columns(text) is
  'The key columns of a projected kind''s view "v", in order: SQL of the column, its type, its '
  'collation (null: the default one, or none) and three operators of its default btree class. '
  'Errors: PT404 when the kind, its view or a key column is missing.';
revoke all on function publish.key_columns(text) from public;
