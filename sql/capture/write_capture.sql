-- The part of publish_capture that writes to publish and publish_gate.
create or replace function publish.write_capture(
  capture publish.capture,
  source regclass,
  path text
) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_path text := concat_ws(', ', 'pg_catalog', nullif(write_capture.path, ''), 'pg_temp');
  v_capture publish.capture := write_capture.capture;
  v_kind publish.kind := publish.check_kind(write_capture.capture.kind);
  v_key record;
  v_reason text;
begin
  perform publish.check_capture(v_capture, write_capture.source);
  if not has_any_column_privilege(publish.caller(), write_capture.source, 'select') then
    raise exception 'a table is captured by who may read it' using
      errcode = 'PT400',
      detail = format('table %s, user %s', write_capture.source, publish.caller()),
      hint = format('As its owner: grant select on %s to %I', write_capture.source,
                    publish.caller());
  end if;
  v_capture.key := coalesce(v_capture.key, case
    when v_capture.lookup is null then publish.default_key(v_kind, write_capture.source)
    else publish.default_lookup_key(write_capture.source) end);
  select d.* into v_key from publish.describe_key(
    capture => v_capture, source => write_capture.source, path => v_path) d;
  v_capture.source := publish.qualified_name(write_capture.source);
  v_capture.for_key := v_kind.key;
  v_capture.always := coalesce(v_capture.always, false);
  v_capture.by_row := publish.needs_row_triggers(v_capture, write_capture.source);
  -- A part's row becomes one of the table's by a cast, which may be a user's.
  v_capture.plain := v_key.plain and not publish.has_parts(write_capture.source)
                     and not publish.compares_foreign(v_capture, write_capture.source);
  -- As that of to_char(at, 'YYYY-MM').
  v_capture.pinned := not v_key.plain
                      or (select bool_or(publish.text_varies(t.type))
                            from unnest(v_key.types) as t (type));
  v_capture.created_at := now();
  v_capture.updated_at := now();

  -- Two sessions that capture one table must not make two captures of it.
  perform from publish.kind k where k.kind = v_capture.kind for no key update;
  v_capture.capture_id := (
    select c.capture_id
      from publish.capture c
     where c.kind = v_capture.kind
       and publish.captured_table(c.capture_id) = write_capture.source);
  v_reason := publish.walk_reason(v_capture, write_capture.source);
  delete from publish.capture c where c.capture_id = v_capture.capture_id;
  v_capture.capture_id := coalesce(v_capture.capture_id,
                                   nextval('publish.capture_capture_id_seq'));
  insert into publish.capture overriding system value values (v_capture.*);

  perform publish.drop_functions(v_capture.capture_id, '_unchanged');
  perform publish.drop_functions(v_capture.capture_id, '_same');
  perform publish.drop_functions(v_capture.capture_id, '_lookup');
  perform publish.write_key_function(
    capture_id => v_capture.capture_id, types => v_key.types, row_sql => v_key.row_sql,
    path => v_path);
  if v_capture.columns is not null then
    perform publish.write_pair_functions(v_capture);
  end if;
  if v_capture.lookup is not null then
    perform publish.write_lookup_function(
      capture_id => v_capture.capture_id, type => v_key.types[1], path => v_path);
  end if;
  perform publish.write_trigger_function(v_capture);
  if v_reason is not null then
    perform publish.request_walk(v_capture.kind, v_reason);
  end if;
  return v_capture.capture_id;
end
$$;
comment on function publish.write_capture(publish.capture, regclass, text) is
  'Checks a capture, writes its row and its functions for publish_capture, which documents it, '
  'and returns its capture_id. path: the search_path in which its SQL is read.';
revoke all on function publish.write_capture(publish.capture, regclass, text) from public;
grant execute on function publish.write_capture(publish.capture, regclass, text) to publish_admin;
