create or replace view publish.worker as
select s.name, s.kind, s.host, s.pid, s.version, s.since, b.at as seen_at,
       coalesce(j.doing, b.doing) as doing,
       not b.is_last and b.at > clock_timestamp() - interval '45 seconds'
       or j.doing is not null as is_alive,
       s.worker_id
  from publish.worker_start s
 cross join lateral (
   select b.at, b.doing, b.is_last
     from publish.worker_beat b
    where b.worker_id = s.worker_id
    order by b.beat_no desc
    limit 1
 ) b
 cross join lateral (
   -- While it runs a job, its lease tells that it lives.
   select string_agg(format('running %s %s', j.kind, j.id), ', ' order by j.id) as doing
     from publish.job j
    where s.kind = 'jobs' and j.status = 'running' and j.worker = s.name
      and j.due_at > clock_timestamp()
 ) j
union all
-- Who drains without a beat: pg_cron, psql, a function of the application.
select coalesce(nullif(d.application, ''), 'unnamed'), 'drain', null, null, null, null, d.at,
       'drains without a worker', d.at > clock_timestamp() - interval '2 minutes', null
  from (select l.* from publish.drain l order by l.drain_id desc limit 1) d
 where d.application not like 'pgpublish%';
comment on view publish.worker is
  'Who drains, delivers and runs jobs: each worker from its start on, and who drained last if '
  'that was none of ours.';
comment on column publish.worker.kind is 'drain, deliver or jobs.';
comment on column publish.worker.seen_at is 'Last sign of life; one comes every 15 s.';
comment on column publish.worker.doing is 'What it said then.';
comment on column publish.worker.is_alive is
  'Heard of within 45 s, or runs a job whose lease runs, and has not ended; without a worker: '
  'within two minutes.';
revoke all on publish.worker from public;
grant select on publish.worker to publish_reader, publish_worker, publish_admin;
