create or replace function publish.compares_foreign(capture publish.capture, source regclass)
returns boolean
language sql
stable
as $$
  select exists (
    select from pg_index i
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
      join pg_type t on t.oid = a.atttypid
     where i.indrelid = compares_foreign.source and i.indisprimary
       and compares_foreign.capture.columns is not null and not compares_foreign.capture.by_row
       and (t.typtype not in ('b', 'd', 'e') or t.typcategory = 'A'
            or publish.key_operator(type => t.oid, strategy => 3)
               not like 'operator(pg!_catalog.%' escape '!'))
$$;
comment on function publish.compares_foreign(publish.capture, regclass) is
  'Whether the columns filter of a capture compares rows by operators that are not of pg_catalog.';
revoke all on function publish.compares_foreign(publish.capture, regclass) from public;
