create or replace function publish.is_elsewhere() returns boolean
language plpgsql
stable
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  if pg_is_in_recovery() then
    return false;
  end if;
  return (
    select (s.system_identifier, d.oid, 'publish.published'::regclass::oid,
            ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int)
           is distinct from (e.system_identifier, e.database_oid, e.relation_oid, e.timeline)
      from (select e.* from publish.epoch e order by e.epoch_no desc limit 1) e
     cross join pg_control_system() s
      join pg_database d on d.datname = current_database());
end
$$;
comment on function publish.is_elsewhere() is
  'True when this database was promoted, restored, moved or copied since the newest epoch began. '
  'False on a standby; null: there is no epoch.';
revoke all on function publish.is_elsewhere() from public;
