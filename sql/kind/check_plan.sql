-- A view that may not be read yet, a table that somebody has locked, or a constant that cannot be
-- computed are no mistakes of the definition: the keys are set aside and say so.
create or replace function publish.check_plan(kind text) returns void
language plpgsql
as $$
begin
  perform publish.read_plan(format('select %s %s', publish.source_id_sql(check_plan.kind),
                                   publish.page_sql(check_plan.kind, null)));
exception when others then
  if publish.is_transient(sqlstate) and sqlstate <> '55P03' then
    raise;
  end if;
  if sqlstate like '42%' and sqlstate <> '42501' then
    raise exception 'the view cannot be read in the order of its key' using
      errcode = 'PT400',
      detail = format('kind %L: %s', check_plan.kind, sqlerrm),
      hint = 'Let the view show the key as a column whose type and collation have an order.';
  end if;
end
$$;
comment on function publish.check_plan(text) is
  'Raises PT400 when PostgreSQL cannot plan to read the kind''s view in key order.';
revoke all on function publish.check_plan(text) from public;
