-- Called under the drain's lock.
create or replace function publish.begin_epoch(head bigint) returns boolean
language plpgsql
as $$
declare
  v_last publish.epoch;
  v_here publish.epoch;
begin
  select e.* into v_last from publish.epoch e order by e.epoch_no desc limit 1;
  select s.system_identifier, d.oid, 'publish.published'::regclass,
         ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int,
         pg_postmaster_start_time()
    into v_here.system_identifier, v_here.database_oid, v_here.relation_oid, v_here.timeline,
         v_here.started_at
    from pg_control_system() s, pg_database d
   where d.datname = current_database();
  if (v_here.system_identifier, v_here.timeline, v_here.database_oid, v_here.relation_oid,
      v_here.started_at)
     is not distinct from
     (v_last.system_identifier, v_last.timeline, v_last.database_oid, v_last.relation_oid,
      v_last.started_at) then
    return false;
  end if;
  insert into publish.epoch
    (epoch_no, first_rev, system_identifier, timeline, database_oid, relation_oid,
     started_at)
  values (coalesce(v_last.epoch_no, 0) + 1, begin_epoch.head, v_here.system_identifier,
          v_here.timeline, v_here.database_oid, v_here.relation_oid, v_here.started_at);
  if (v_here.system_identifier, v_here.database_oid, v_here.relation_oid)
     = (v_last.system_identifier, v_last.database_oid, v_last.relation_oid) then
    return false; -- a restart or a promotion: the transactions are the same ones
  end if;
  -- Visible, yet of a transaction that has not begun here: a row of another cluster, or of a copy
  -- of this one that was ahead.
  with restored as (
    delete from publish.outbox o
     where o.xid >= pg_snapshot_xmax(pg_current_snapshot())
       and o.xid is distinct from pg_current_xact_id_if_assigned()
    returning o.*
  )
  insert into publish.outbox
    (seq, kind, source_id, more, via, payload, deleted, headers, enqueued_at)
  select r.seq, r.kind, r.source_id, r.more, r.via, r.payload, r.deleted, r.headers, r.enqueued_at
    from restored r
   order by r.seq
      on conflict do nothing; -- a row and its retry have one seq
  -- Also where nothing is drained now, the newest row is the state of the next drain.
  update publish.drain d set drained = '3:3:', partial_xid = null, partial_seq = null;
  return true;
end
$$;
comment on function publish.begin_epoch(bigint) is
  'Begins an epoch at this head when the cluster, its timeline, its start, the database or the '
  'table is not what the last epoch knew. True unless it was a restart or a promotion: stored '
  'snapshots may mean nothing here and were forgotten, and outbox rows with transaction ids from '
  'the future were enqueued again in this transaction.';
revoke all on function publish.begin_epoch(bigint) from public;
