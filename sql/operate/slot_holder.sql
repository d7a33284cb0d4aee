create or replace function publish.slot_holder(slot int) returns text
language plpgsql
stable
as $$
declare
  v_table text := format('publish.outbox_%s', slot_holder.slot);
  v_state publish.drain;
  v_found boolean;
begin
  if slot_holder.slot = floor(date_part('epoch', clock_timestamp()) / 300)::bigint % 3 then
    return null;
  end if;
  execute format('select exists (select from %s)', v_table) into v_found;
  if not v_found then
    return null;
  end if;
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  execute format(
    'select exists (select from %1$s o where o.xid >= pg_snapshot_xmax($1))'
    '    or exists (select from %1$s o where o.xid = any (array(select pg_snapshot_xip($1))))',
    v_table) into v_found using coalesce(v_state.drained, '3:3:');
  if v_found then
    return format('slot %s of the outbox: there are marks to drain', slot_holder.slot);
  end if;
  return (
    select format('slot %s of the outbox: %s has locked it', slot_holder.slot,
                  string_agg(coalesce('process ' || l.pid, 'prepared transaction ' || x.gid), ', '
                             order by l.pid))
      from (select distinct l.pid, l.virtualtransaction
              from pg_locks l
             where l.relation = v_table::regclass and l.granted
               and l.database = (select d.oid from pg_database d
                                  where d.datname = current_database())
               and l.pid is distinct from pg_backend_pid()) l
      left join pg_prepared_xacts x on l.virtualtransaction = '-1/' || x.transaction
    having count(*) > 0);
end
$$;
comment on function publish.slot_holder(int) is
  'Why a slot that is not the current one is not empty: marks to drain, or who has locked it. '
  'Null: nothing keeps it from being emptied a minute after it was drained.';
revoke all on function publish.slot_holder(int) from public;
