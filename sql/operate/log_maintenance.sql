create or replace function publish.log_maintenance(done publish.maintenance) returns void
language plpgsql
as $$
declare
  v_of publish.maintenance := log_maintenance.done;
begin
  if v_of.slots_emptied + v_of.drains_trimmed + v_of.batches_trimmed + v_of.messages_forgotten
     + v_of.jobs_pruned + v_of.rows_pruned = 0 and v_of.held = '{}' then
    return;
  end if;
  insert into publish.maintenance
    (at, duration, busy, slots_emptied, drains_trimmed, batches_trimmed, messages_forgotten,
     jobs_pruned, rows_pruned, rows_forced, held)
  values
    (v_of.at, clock_timestamp() - v_of.at, v_of.busy, v_of.slots_emptied, v_of.drains_trimmed,
     v_of.batches_trimmed, v_of.messages_forgotten, v_of.jobs_pruned, v_of.rows_pruned,
     v_of.rows_forced, v_of.held);
  delete from publish.maintenance m
   where m.maintenance_id <= (select max(l.maintenance_id) from publish.maintenance l)
                             - publish.setting_of('maintenance_log_rows')::bigint;
end
$$;
comment on function publish.log_maintenance(publish.maintenance) is
  'Appends what a run of publish_maintain did to its log, unless that is nothing, and trims the '
  'log to maintenance_log_rows.';
revoke all on function publish.log_maintenance(publish.maintenance) from public;
