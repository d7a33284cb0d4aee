create or replace function publish.page_sql(
  kind text,
  after text,
  out source_id text,
  out page text
)
language plpgsql
stable
as $$
declare
  v_key record;
  v_after text[];
  v_bound text;
begin
  select c.* into v_key from publish.key_columns(page_sql.kind) c;
  if page_sql.after is not null then
    begin
      v_after := case when cardinality(v_key.refs) = 1 then array[page_sql.after]
                      else publish.key_parts(page_sql.after, v_key.columns) end;
      v_bound := (select string_agg(format('%L::%s', a.part, a.type), ', ' order by a.n)
                    from unnest(v_after, v_key.types) with ordinality as a (part, type, n));
      execute 'select ' || v_bound;
    exception when data_exception or integrity_constraint_violation or sqlstate 'PT422' then
      raise exception 'after is not a key of this kind' using
        errcode = 'PT400',
        detail = format('kind %L, after %L: %s', page_sql.kind, left(page_sql.after, 60), sqlerrm),
        hint = 'Pass what the previous page returned as next, or nothing to begin.';
    end;
  end if;
  page_sql.source_id := v_key.source_id;
  -- Without keys that have a null part: a page that ended with one could not say where to go on.
  page_sql.page := format(
    'from %1$s v where (%2$s) is not null%3$s order by %2$s', v_key.view,
    array_to_string(v_key.refs, ', '),
    ' and (' || array_to_string(v_key.refs, ', ') || ') > (' || v_bound || ')');
end
$$;
comment on function publish.page_sql(text, text) is
  'How to read the view''s keys above "after", in key order: source_id, the expression, and page, '
  'the SQL from FROM to ORDER BY, for a LIMIT. Errors: PT404 not a projected kind, PT400 bad '
  'after.';
revoke all on function publish.page_sql(text, text) from public;
