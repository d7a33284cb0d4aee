-- Called under the drain's lock. Every start of the server begins an epoch: a copy of its files,
-- made while it was down and put back, looks like a restart.
create or replace function publish.begin_epoch(head bigint) returns text
language plpgsql
as $$
declare
  v_last publish.epoch;
  v_here publish.epoch;
begin
  v_here.timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int;
  v_here.relation_oid := 'publish.published'::regclass;
  if exists (select
               from publish.alive a
               join pg_database d on d.oid = a.database_oid
              where a.started_at = pg_postmaster_start_time() and a.timeline = v_here.timeline
                and a.relation_oid = v_here.relation_oid and d.datname = current_database()) then
    return null;
  end if;

  v_here.database_oid := (select d.oid from pg_database d where d.datname = current_database());
  select e.* into v_last from publish.epoch e order by e.epoch_no desc limit 1;
  v_here.system_identifier := (select s.system_identifier from pg_control_system() s);
  v_here.cause := case
    when v_last.epoch_no is null then 'start'
    when v_last.system_identifier <> v_here.system_identifier then 'moved'
    when (v_last.database_oid, v_last.relation_oid)
         <> (v_here.database_oid, v_here.relation_oid) then 'copied'
    when v_last.timeline <> v_here.timeline then 'promotion'
    when not exists (select from publish.alive) then 'crash'
    else 'start' end;
  insert into publish.epoch
    (epoch_no, cause, first_rev, system_identifier, timeline, database_oid, relation_oid)
  values (coalesce(v_last.epoch_no, 0) + 1, v_here.cause, begin_epoch.head,
          v_here.system_identifier, v_here.timeline, v_here.database_oid, v_here.relation_oid);
  if v_here.cause <> 'start' then
    perform publish.walk_unlogged();
  end if;
  delete from publish.alive;
  insert into publish.alive (started_at, timeline, database_oid, relation_oid)
  values (pg_postmaster_start_time(), v_here.timeline, v_here.database_oid, v_here.relation_oid);
  if v_last.epoch_no is not null and v_here.cause not in ('moved', 'copied') then
    return v_here.cause; -- the transactions are the same ones
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
    (kind, source_ids, lookup_id, payload_no, payload, deleted, headers, enqueued_at)
  select r.kind, r.source_ids, r.lookup_id, r.payload_no, r.payload, r.deleted, r.headers,
         r.enqueued_at
    from restored r
   order by r.xid, r.seq;
  -- Also where nothing is drained now, the newest row is the state of the next drain.
  update publish.drain d set drained = '3:3:', partial_xid = null, partial_seq = null;
  return v_here.cause;
end
$$;
comment on function publish.begin_epoch(bigint) is
  'Begins an epoch at this head, and returns its cause, if publish.alive does not say that the '
  'last drain ran on this start of this server, on this timeline, in this database and table; '
  'otherwise null. The first one, moved and copied: stored snapshots may mean nothing here and '
  'were forgotten, and outbox rows with transaction ids from the future were enqueued again in '
  'this transaction.';
revoke all on function publish.begin_epoch(bigint) from public;
