create or replace function publish.check_capture(capture publish.capture, source regclass)
returns void
language plpgsql
stable
as $$
declare
  v_missing text;
begin
  perform publish.key_columns(check_capture.capture.kind);
  if not exists (
    select from pg_class c
     where c.oid = check_capture.source and c.relkind in ('r', 'p') and c.relpersistence <> 't'
       and c.relnamespace <> all (
         array['publish', 'publish_gate', 'pg_catalog', 'information_schema']::regnamespace[])
  ) then
    raise exception 'only a table that lasts can be captured' using
      errcode = 'PT400',
      detail = format('kind %L, source %s', check_capture.capture.kind, check_capture.source),
      hint = 'Capture each table that the view reads. For what a materialized view or a foreign '
             'table shows, run pgpublish verify --repair.';
  end if;
  select c.oid::regclass::text into v_missing
    from publish.with_descendants(check_capture.source) as d (relid)
    join pg_class c on c.oid = d.relid and c.relkind = 'f'
   limit 1;
  if found then
    raise exception 'a part of the table is a foreign table' using
      errcode = 'PT400',
      detail = format('kind %L, table %s, part %s: no trigger sees what is written where it is.',
                      check_capture.capture.kind, check_capture.source, v_missing),
      hint = 'Detach it, or capture nothing and run pgpublish verify --repair.';
  end if;
  select k.name into v_missing
    from unnest(check_capture.capture.columns) as k (name)
   where not exists (select from pg_attribute a
                      where a.attrelid = check_capture.source and a.attname = k.name
                        and a.attnum > 0 and not a.attisdropped)
   limit 1;
  if found or cardinality(check_capture.capture.columns) = 0 then
    raise exception 'columns must name columns of the table' using
      errcode = 'PT400',
      detail = format('table %s, columns %s, missing %L', check_capture.source,
                      check_capture.capture.columns, v_missing),
      hint = 'Name the columns that the view reads, or leave them out for all.';
  end if;
  -- It becomes part of a statement that publish_owner executes: no second one may follow.
  if concat(check_capture.capture.key, check_capture.capture.lookup) like '%;%' then
    raise exception 'key and lookup are one expression and one query' using
      errcode = 'PT400',
      detail = format('key %L, lookup %L', check_capture.capture.key,
                      check_capture.capture.lookup),
      hint = 'Leave out semicolons; in a text write chr(59).';
  end if;
end
$$;
comment on function publish.check_capture(publish.capture, regclass) is
  'Refuses a capture of what is not a table, or with columns that it does not have. '
  'Errors: PT400, PT404 not a projected kind.';
revoke all on function publish.check_capture(publish.capture, regclass) from public;
