create or replace function publish.capture_sql(capture_id int, always boolean default false)
returns text
language sql
stable
as $$
  select format('select publish_capture(%L, %L, key => %L', c.kind,
                publish.captured_table(c.capture_id), c.key)
         || coalesce(', columns => ' || quote_literal(c.columns::text), '')
         || case when c.always or capture_sql.always then ', always => true' else '' end
         || coalesce(', lookup => ' || quote_literal(c.lookup), '') || ')'
    from publish.capture c
   where c.capture_id = capture_sql.capture_id
$$;
comment on function publish.capture_sql(int, boolean) is
  'The statement that captures the table again as it was; always: also what is replicated.';
revoke all on function publish.capture_sql(int, boolean) from public;
