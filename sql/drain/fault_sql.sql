create or replace function publish.fault_sql(kind publish.kind, payload text) returns text
language sql
immutable
as $$
  select format('case when pg_column_size(%1$s) > 2000'
                ' and publish.payload_fault(%1$s) is not null'
                ' then publish.payload_fault(%1$s)%2$s end', fault_sql.payload,
                case when (fault_sql.kind).validator is null then ''
                     else format(' when %s is not null and not coalesce(%s(%1$s), true)'
                                 ' then ''the validator refused the payload''',
                                 fault_sql.payload, (fault_sql.kind).validator) end)
$$;
comment on function publish.fault_sql(publish.kind, text) is
  'SQL of why a payload, an SQL expression, cannot be published: its size, its depth, the '
  'validator; null when it can.';
revoke all on function publish.fault_sql(publish.kind, text) from public;
