create or replace function publish.row_key(data jsonb, columns text[]) returns text
language sql
immutable
parallel safe
as $$
  select case when cardinality(row_key.columns) = 1 then row_key.data ->> row_key.columns[1]
              else publish.key_text(array(
                select row_key.data ->> c.name
                  from unnest(row_key.columns) with ordinality as c (name, n) order by c.n)) end
$$;
comment on function publish.row_key(jsonb, text[]) is
  'source_id of a row given as JSON; null when a key column is null or missing.';
revoke all on function publish.row_key(jsonb, text[]) from public;
