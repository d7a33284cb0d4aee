-- Runs as the caller of publish_capture, who needs TRIGGER on the tables, and to own them only
-- where a trigger must be enabled. A trigger of before is replaced in place: DROP TRIGGER
-- would lock out readers too.
create or replace function publish.attach_capture(capture_id int) returns void
language plpgsql
as $$
declare
  v_capture publish.capture;
  v_source regclass := publish.captured_table(attach_capture.capture_id);
  v_function text := format('publish.capture_%s', attach_capture.capture_id);
  v_table regclass;
  v_cloned boolean;
  v_changed text;
  v_op text;
  v_trigger text;
  v_enabled "char";
begin
  select c.* into v_capture from publish.capture c where c.capture_id = attach_capture.capture_id;
  v_enabled := case when v_capture.always then 'A' else 'O' end;
  if v_capture.by_row and v_capture.columns is not null then
    v_changed := (
      select format(' and pg_catalog.record_image_ne(row(%s), row(%s))',
                    string_agg(format('old.%I', w.name), ', '),
                    string_agg(format('new.%I', w.name), ', '))
        from publish.watched_columns(v_capture.capture_id) as w (name));
  end if;
  for v_table in select d.relid from publish.with_descendants(v_source) as d (relid) loop
    -- A partition's row triggers are clones of its root's.
    v_cloned := v_table <> v_source
                and (select c.relispartition from pg_catalog.pg_class c where c.oid = v_table);
    foreach v_op in array array['insert', 'update', 'delete', 'truncate'] loop
      continue when v_cloned and v_op <> 'truncate';
      v_trigger := format('publish_%s_%s', v_capture.capture_id, v_op);
      execute format(
        'create or replace trigger %I after %s on %s %s for each %s'
        ' when ((true or %s_guard())%s) execute function %6$s()',
        v_trigger, v_op, v_table,
        case when v_capture.by_row or v_op = 'truncate' then ''
             else 'referencing'
                  || case when v_op <> 'insert' then ' old table as old_rows' else '' end
                  || case when v_op <> 'delete' then ' new table as new_rows' else '' end end,
        case when v_capture.by_row and v_op <> 'truncate' then 'row' else 'statement' end,
        v_function, case when v_op = 'update' then v_changed end);
      if exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = v_table and t.tgname = v_trigger
                    and t.tgenabled <> v_enabled) then
        execute format('alter table %s enable %s trigger %I', v_table,
                       case when v_capture.always then 'always' else '' end, v_trigger);
      end if;
    end loop;
  end loop;
end
$$;
comment on function publish.attach_capture(int) is
  'Creates or replaces and enables the triggers of a capture, on the table and on its descendants.';
revoke all on function publish.attach_capture(int) from public;
grant execute on function publish.attach_capture(int) to publish_admin;
