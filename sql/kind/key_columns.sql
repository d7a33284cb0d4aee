-- The one place that turns a kind's definition into SQL over the user's view, alias v.
create or replace function publish.key_columns(
  kind text,
  out view text,
  out columns text[],
  out refs text[],
  out types text[],
  out source_id text
)
language plpgsql
stable
as $$
begin
  perform publish.check_kind(key_columns.kind);
  select k.view, k.key into key_columns.view, key_columns.columns
    from publish.kind k
   where k.kind = key_columns.kind;
  if key_columns.view is null then
    raise exception 'this kind has no view' using
      errcode = 'PT404',
      detail = format('kind %L', key_columns.kind),
      hint = 'It is a payload kind: call publish_enqueue with each payload.';
  end if;
  -- Types without their length: a cast to varchar(3) would cut a longer key and find another row.
  select array_agg(format('v.%I', a.attname) order by c.n),
         array_agg(format_type(a.atttypid, -1) order by c.n)
    into key_columns.refs, key_columns.types
    from unnest(key_columns.columns) with ordinality as c (name, n)
    join pg_attribute a on a.attname = c.name and a.attnum > 0 and not a.attisdropped
   where a.attrelid = to_regclass(key_columns.view);
  if cardinality(key_columns.refs) is distinct from cardinality(key_columns.columns) then
    raise exception 'the view or its key column is gone' using
      errcode = 'PT404',
      detail = format('kind %L, view %s, key %s',
                      key_columns.kind, key_columns.view, key_columns.columns),
      hint = 'Restore it, or call publish_define with what replaced it.';
  end if;
  -- Its text is compared as publish.published does, not by the column's collation.
  key_columns.source_id :=
    case when cardinality(key_columns.refs) = 1
         then format('%s::text collate "default"', key_columns.refs[1])
         else format('publish.key_text(array[%s])',
                     (select string_agg(format('%s::text collate "default"', r.ref), ', '
                                        order by r.n)
                        from unnest(key_columns.refs) with ordinality as r (ref, n))) end;
end
$$;
comment on function publish.key_columns(text) is
  'How to read a projected kind''s view as "v": its name, key columns, their SQL and types, and '
  'the expression of source_id. Errors: PT404 when the kind, its view or a key column is missing.';
revoke all on function publish.key_columns(text) from public;
