create or replace function publish.captures_of(kind text)
returns table (source text, key text, lookup text, columns text[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(publish.qualified_name(publish.captured_table(c.capture_id)), c.source),
         c.key, c.lookup, c.columns
    from publish.capture c
   where c.kind = captures_of.kind
   order by c.capture_id
$$;
comment on function publish.captures_of(text) is
  'The captures of a kind, as publish_capture was called.';
revoke all on function publish.captures_of(text) from public;
grant execute on function publish.captures_of(text) to publish_admin;
