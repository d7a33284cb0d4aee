create or replace function publish.expression_type(relation regclass, expression text)
returns text
language plpgsql
stable
as $$
declare
  v_type text;
begin
  execute format('select format_type(pg_typeof((select %s from %s as "$row" limit 0)), -1)',
                 expression, relation)
    into v_type;
  return v_type;
end
$$;
comment on function publish.expression_type(regclass, text) is
  'The type of an expression over a row of a table, which it calls "$row". Runs as the caller.';
revoke all on function publish.expression_type(regclass, text) from public;
grant execute on function publish.expression_type(regclass, text) to publish_admin;
