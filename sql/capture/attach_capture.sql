-- Runs as the caller of publish_capture, who needs TRIGGER on the tables, and to own them only
-- where a trigger must be enabled. A trigger of before is replaced in place: DROP TRIGGER
-- would lock out readers too.
create or replace function publish.attach_capture(capture_id int) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_capture publish.capture;
  v_source regclass := publish.captured_table(attach_capture.capture_id);
  v_by_row boolean;
  v_table regclass;
  v_cloned boolean;
  v_op text;
  v_trigger text;
  v_enabled "char";
begin
  select c.* into v_capture from publish.capture c where c.capture_id = attach_capture.capture_id;
  v_enabled := case when v_capture.always then 'A' else 'O' end;
  for v_table in select d.relid from publish.with_descendants(v_source) as d (relid) loop
    -- A partition's row triggers are clones of its root's.
    v_cloned := v_table <> v_source
                and (select c.relispartition from pg_catalog.pg_class c where c.oid = v_table);
    foreach v_op in array array['insert', 'update', 'delete', 'truncate'] loop
      continue when v_cloned and v_op <> 'truncate';
      v_trigger := format('publish_%s_%s', v_capture.capture_id, v_op);
      v_by_row := v_capture.by_row and v_op <> 'truncate';
      execute format(
        'create or replace trigger %I after %s on %s %s for each %s'
        ' execute function publish_gate.capture_%s()',
        v_trigger, v_op, v_table,
        case when v_by_row or v_op = 'truncate' then ''
             when v_op = 'insert' then 'referencing new table as captured_rows'
             when v_op = 'delete' then 'referencing old table as captured_rows'
             else 'referencing new table as captured_rows old table as old_rows' end,
        case when v_by_row then 'row' else 'statement' end, v_capture.capture_id);
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
