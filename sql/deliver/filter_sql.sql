create or replace function publish.filter_sql(filter text) returns text
language sql
immutable
as $$
  -- The line break ends a remark.
  select format('select t.n::text from (select i.n, i.text::jsonb as payload'
                ' from unnest($1) with ordinality as i (text, n) offset 0) t'
                ' where (%s%s) limit $2', filter_sql.filter, chr(10))
$$;
comment on function publish.filter_sql(text) is
  'For publish.read_texts: which of the payloads $1, by number, a subscription''s filter takes.';
revoke all on function publish.filter_sql(text) from public;
