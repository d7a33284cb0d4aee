-- Waits 100 ms for the lock, so that nobody queues behind it for longer. Under the lock every
-- writer of the slot has ended: what is not drained then is found by index. A drain counts a minute
-- after it was done: pg_dump takes its snapshot first and its table locks a little later, and must
-- not find a slot empty whose rows its snapshot of publish.drain does not know as drained. Before
-- the first drain after a restore, the stored snapshots may be of another cluster.
create or replace function publish.empty_slot(slot int) returns boolean
language plpgsql
set lock_timeout = '100ms'
as $$
declare
  v_table text := format('publish.outbox_%s', empty_slot.slot);
  v_state publish.drain;
  v_undrained text := format(
    'select exists (select from %1$s o where o.xid >= pg_snapshot_xmax($1))'
    '    or exists (select from %1$s o where o.xid = any (array(select pg_snapshot_xip($1))))',
    v_table);
  v_found boolean;
begin
  if empty_slot.slot = floor(date_part('epoch', clock_timestamp()) / 300)::bigint % 3 then
    return false;
  end if;
  select d.* into v_state
    from publish.drain d
   where d.at < clock_timestamp() - interval '1 minute'
     and (select (e.system_identifier, e.database_oid, e.relation_oid)
            from publish.epoch e
           order by e.epoch_no desc
           limit 1)
         = (select (s.system_identifier, b.oid, 'publish.published'::regclass::oid)
              from pg_control_system() s, pg_database b
             where b.datname = current_database())
   order by d.drain_id desc
   limit 1;
  if not found then
    return false;
  end if;
  execute format('select exists (select from %s)', v_table) into v_found;
  if not v_found then
    return false;
  end if;
  execute v_undrained into v_found using v_state.drained;
  if v_found then
    return false;
  end if;
  begin
    execute format('lock table only %s in access exclusive mode', v_table);
    execute v_undrained into v_found using v_state.drained;
    if not v_found then
      execute format('truncate only %s', v_table);
    end if;
  exception when lock_not_available then
    return false; -- a writer or a drain is in it: the next round will do
  end;
  return not v_found;
end
$$;
comment on function publish.empty_slot(int) is
  'Truncates one outbox slot if it is not the current one and every row in it was drained at least '
  'a minute ago. True when it did.';
revoke all on function publish.empty_slot(int) from public;
