create or replace function publish.mutation(source regclass, action text) returns text
language plpgsql
as $$
declare
  v_ctid tid;
  v_tableoid oid;
  v_columns name[] := array(
    select a.attname
      from pg_catalog.pg_attribute a
     where a.attrelid = mutation.source and a.attnum > 0 and not a.attisdropped
       and a.attgenerated = '' and a.attidentity <> 'a'
     order by a.attnum);
  v_unique name[] := array(
    select distinct a.attname
      from pg_catalog.pg_index i
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid
                                    and a.attnum = any (i.indkey::int2[])
     where i.indrelid = mutation.source and i.indisunique and not exists (
       select from pg_catalog.pg_constraint f
        where f.conrelid = i.indrelid and f.contype = 'f' and a.attnum = any (f.conkey)));
  v_column name := v_columns[1 + floor(random() * cardinality(v_columns))::int];
begin
  if mutation.action = 'insert' then
    return (
      select format('insert into %s (%s) values (%s)', mutation.source,
                    string_agg(quote_ident(c.name), ', ' order by c.n),
                    string_agg(quote_nullable(publish.some_value(
                      source => mutation.source, name => c.name,
                      fresh => c.name = any (v_unique))), ', ' order by c.n))
        from unnest(v_columns) with ordinality as c (name, n));
  end if;
  execute format('select t.ctid, t.tableoid from (select t.ctid, t.tableoid from %s t limit 2000) t'
                 ' order by random() limit 1', source)
    into v_ctid, v_tableoid;
  if v_ctid is null then
    return null;
  elsif mutation.action = 'delete' then
    return format('delete from %s where ctid = %L and tableoid = %s', mutation.source, v_ctid,
                  v_tableoid);
  end if;
  return format('update %s set %I = %L where ctid = %L and tableoid = %s', mutation.source,
                v_column, publish.some_value(source => mutation.source, name => v_column,
                                             fresh => random() < 0.1), v_ctid, v_tableoid);
end
$$;
comment on function publish.mutation(regclass, text) is
  'A random insert, update or delete of one row, as SQL that is not executed; null if the table '
  'has no row. Of a large table it looks at the first 2,000 rows. setseed() makes it repeatable.';
revoke all on function publish.mutation(regclass, text) from public;
grant execute on function publish.mutation(regclass, text) to publish_admin;
