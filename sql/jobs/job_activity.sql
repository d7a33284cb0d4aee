-- A view is bound when it is made, in any order, so publish.job_lock(token) is written out.
create or replace view publish.job_activity as
select j.id, j.kind, j.worker, j.attempts as attempt, j.pid, a.client_addr as client,
       a.application_name as application, a.state, a.query, j.started_at as since, j.beat_at,
       j.due_at - clock_timestamp() as lease_left,
       case when j.pid is null then 'none' when l.pid is null then 'lost' else 'held' end as lock,
       j.token, j.data
  from publish.job j
  left join (
    select k.pid, k.objid
      from pg_catalog.pg_locks k
      join pg_catalog.pg_database d on d.oid = k.database
     where k.locktype = 'advisory' and k.classid = 1886741101 and k.objsubid = 2 and k.granted
       and d.datname = current_database()
  ) l on l.pid = j.pid and l.objid = (j.token & 2147483647)::oid
  left join pg_catalog.pg_stat_activity a on a.pid = l.pid
 where j.status = 'running';
comment on view publish.job_activity is
  'Who runs what: running jobs with the session that holds their advisory lock. lock: held; lost: '
  'the session is gone and the job may be taken over; none: started through a pooler, the lease '
  'alone decides. query of another role is shown to members of pg_read_all_stats.';
comment on column publish.job_activity.client is 'Address of the session; null: a Unix socket.';
comment on column publish.job_activity.application is 'application_name of the session.';
comment on column publish.job_activity.state is 'Of the session, as in active or idle.';
comment on column publish.job_activity.query is 'What the session runs, or ran last.';
comment on column publish.job_activity.since is 'When this run began.';
comment on column publish.job_activity.lease_left is 'Below zero: it may be taken over.';
comment on column publish.job_activity.lock is 'held, lost or none.';
revoke all on publish.job_activity from public;
grant select on publish.job_activity to publish_worker, publish_admin;
