-- PREPARE parses and rewrites, which takes a lock on every table that the view reads, through
-- nested views; it plans nothing, runs nothing of the view and asks for no right on the tables.
-- Planning (select … limit 0) would run immutable functions. LOCK TABLE adds the partitions, which
-- can be truncated alone. It refuses materialized views, and roles that may read only some columns.
create or replace function publish_gate.gate_hold(relation text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform publish.check_installed('publish_projector');
  execute 'prepare publish_hold as select from ' || gate_hold.relation;
  deallocate publish_hold;
  begin
    execute 'lock table ' || gate_hold.relation || ' in access share mode';
  exception when wrong_object_type or insufficient_privilege then
    null;
  end;
end
$$;
comment on function publish_gate.gate_hold(text) is
  'Locks what the view or table reads to the end of the transaction, in ACCESS SHARE mode. Called '
  'by publish.try_hold alone.';
revoke all on function publish_gate.gate_hold(text) from public;
alter function publish_gate.gate_hold(text) owner to publish_projector;
grant execute on function publish_gate.gate_hold(text) to publish_owner;
