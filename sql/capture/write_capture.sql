-- The part of publish_capture that writes to schema publish. A view made for a moment asks
-- PostgreSQL what an expression is: how many columns, of which types, and what it reads.
create or replace function publish.write_capture(
  kind text,
  source regclass,
  key text,
  columns text[],
  always boolean,
  lookup text,
  path text
) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind publish.kind := publish.check_kind(write_capture.kind);
  v_class pg_class;
  v_key text := write_capture.key;
  v_parts int;
  v_missing text;
  v_probe record;
  v_path text := concat_ws(', ', 'pg_catalog', nullif(write_capture.path, ''), 'pg_temp');
  v_old publish.capture;
  v_id int;
  v_reason text;
begin
  perform publish.key_columns(write_capture.kind);
  select c.* into v_class from pg_class c where c.oid = write_capture.source;
  if v_class.relkind is distinct from 'r' and v_class.relkind is distinct from 'p'
     or v_class.relpersistence = 't' or v_class.relnamespace = 'publish'::regnamespace then
    raise exception 'only a table that lasts can be captured' using
      errcode = 'PT400',
      detail = format('kind %L, source %s', write_capture.kind, write_capture.source),
      hint = 'Capture each table that the view reads. For what a materialized view or a foreign '
             'table shows, run pgpublish verify --repair.';
  end if;
  select k.name into v_missing
    from unnest(write_capture.columns) as k (name)
   where not exists (select from pg_attribute a
                      where a.attrelid = write_capture.source and a.attname = k.name
                        and a.attnum > 0 and not a.attisdropped)
   limit 1;
  if found or cardinality(write_capture.columns) = 0 then
    raise exception 'columns must name columns of the table' using
      errcode = 'PT400',
      detail = format('table %s, columns %s, missing %L', write_capture.source,
                      write_capture.columns, v_missing),
      hint = 'Name the columns that the view reads, or leave them out for all.';
  end if;

  v_parts := case when write_capture.lookup is null then cardinality(v_kind.key) else 1 end;
  v_key := coalesce(v_key, case when write_capture.lookup is null
    then publish.default_key(v_kind, write_capture.source)
    else publish.default_looked_up(write_capture.source) end);
  select p.* into v_probe
    from publish.probe(
      v_key,
      format('select %s from %s as %I', v_key, publish.qualified_name(write_capture.source),
             v_class.relname),
      v_parts, v_path) p;
  if exists (select from unnest(v_probe.reads) as r (relid)
              where r.relid <> write_capture.source) then
    raise exception 'a key is made of the row alone' using
      errcode = 'PT400',
      detail = format('key %s reads %s', v_key, v_probe.reads),
      hint = 'What must be looked up elsewhere goes into lookup: the drain asks it when '
             'everything has committed; a trigger could miss what commits beside it.';
  end if;
  select a.attname into v_missing
    from pg_attribute a
   where a.attrelid = write_capture.source and a.attgenerated = 'v'
     and (a.attname = any (write_capture.columns) or a.attname = any (v_probe.columns))
   limit 1;
  if found then
    raise exception 'a trigger does not see a virtual column' using
      errcode = 'PT400',
      detail = format('table %s, column %I', write_capture.source, v_missing),
      hint = 'Name the columns it is computed from, and its expression where it is the key.';
  end if;

  -- Two sessions that capture one table must not make two captures of it.
  perform from publish.kind k where k.kind = write_capture.kind for no key update;
  select c.* into v_old
    from publish.capture c
   where c.kind = write_capture.kind
     and publish.captured_table(c.capture_id) = write_capture.source;
  if found then
    v_id := v_old.capture_id;
    v_reason := case
      when exists (select from publish.audit_captures(v_id))
      then format('the capture of %s was broken', write_capture.source)
      when v_old.lookup is not null
           and (v_old.key, v_old.lookup) is distinct from (v_key, write_capture.lookup)
      then format('%s is looked up in another way', write_capture.source)
      when not coalesce(write_capture.columns <@ v_old.columns, v_old.columns is null)
      then format('%s was captured with fewer columns', write_capture.source) end;
    delete from publish.capture c where c.capture_id = v_id;
  elsif exists (select from publish.published p where p.kind = write_capture.kind) then
    v_reason := format('%s was not captured before', write_capture.source);
  end if;
  insert into publish.capture as c
    (capture_id, kind, source, key, for_key, lookup, columns, always, by_row, plain, pinned)
  overriding system value
  values (coalesce(v_id, nextval('publish.capture_capture_id_seq')), write_capture.kind,
          publish.qualified_name(write_capture.source), v_key, v_kind.key,
          write_capture.lookup, write_capture.columns, coalesce(write_capture.always, false),
          coalesce(write_capture.always, false) or v_class.relkind = 'p'
          or exists (select from pg_inherits i
                      where write_capture.source in (i.inhrelid, i.inhparent))
          -- Without a primary key, statement triggers cannot tell which row is which.
          or write_capture.columns is not null
             and not exists (select from pg_index i
                              where i.indrelid = write_capture.source and i.indisprimary),
          v_probe.plain,
          v_probe.pinned
          or exists (select from pg_attribute a
                      where a.attrelid = write_capture.source
                        and a.attname = any (write_capture.columns)
                        and publish.text_varies(a.atttypid)))
  returning c.capture_id into v_id;

  perform publish.write_functions(v_id, write_capture.source, v_probe.types, v_probe.columns,
                                  v_path);
  if v_reason is not null then
    insert into publish.rescan (kind, reason) values (write_capture.kind, v_reason);
  end if;
  return v_id;
end
$$;
comment on function publish.write_capture(text, regclass, text, text[], boolean, text, text) is
  'Checks a capture, writes its row and its functions for publish_capture, which documents it, '
  'and returns its capture_id. path: the search_path in which its SQL is read.';
revoke all on function publish.write_capture(text, regclass, text, text[], boolean, text, text)
  from public;
grant execute on function publish.write_capture(text, regclass, text, text[], boolean, text, text)
  to publish_admin;
