-- Its text is compared as publish.published does, not by the column's collation.
create or replace function publish.source_id_sql(kind text) returns text
language sql
stable
as $$
  select case when count(*) = 1 then min(t.text)
              else format('publish.key_text(array[%s])', string_agg(t.text, ', ' order by t.n)) end
    from (select k.n, format('%s::text collate "default"', k.ref) as text
            from publish.key_columns(source_id_sql.kind) k) t
$$;
comment on function publish.source_id_sql(text) is
  'SQL of source_id over a row of the kind''s view "v". Errors: PT404.';
revoke all on function publish.source_id_sql(text) from public;
