-- Views as an application that runs its jobs by procrastinate has them, and data.
create view job_state as
  select j.id, j.queue_name, j.task_name, j.status, j.attempts, j.args ->> 'n' as n,
         (select min(e.at) from procrastinate_events e
           where e.job_id = j.id and e.type = 'deferred') as deferred_at,
         (select e.type from procrastinate_events e
           where e.job_id = j.id order by e.at desc nulls last, e.id desc limit 1) as last_event,
         w.last_heartbeat
    from procrastinate_jobs j left join procrastinate_workers w on w.id = j.worker_id;
create view queue_load as
  select j.queue_name, count(*) filter (where j.status = 'todo') as waiting,
         count(*) filter (where j.status = 'doing') as running, max(j.priority) as priority
    from procrastinate_jobs j group by j.queue_name;
create view by_status as
  select j.status, j.task_name, count(*) as jobs from procrastinate_jobs j group by 1, 2;
create view worker_load as
  select w.id, count(j.id) as jobs, array_agg(j.id order by j.id) filter (where j.id > 0) as ids
    from procrastinate_workers w
    left join procrastinate_jobs j on j.worker_id = w.id and j.status = 'doing'
   group by w.id;
create view next_in_queue as
  select distinct on (j.queue_name) j.queue_name, j.id, j.task_name
    from procrastinate_jobs j where j.status = 'todo' order by j.queue_name, j.priority desc, j.id;
create view held as
  select j.id, j.lock,
         (select count(*) from procrastinate_jobs o
           where o.lock = j.lock and o.id < j.id and o.status in ('todo', 'doing')) as before
    from procrastinate_jobs j where j.lock is not null;
create view periodic as
  select p.task_name, p.periodic_id, p.defer_timestamp, j.status
    from procrastinate_periodic_defers p left join procrastinate_jobs j on j.id = p.job_id
   where p.defer_timestamp is not null;
create view never_started as
  select j.id, j.task_name from procrastinate_jobs j
   where not exists (select from procrastinate_events e
                      where e.job_id = j.id and e.type = 'started');
create view history as
  select 'event' as what, e.id, e.job_id, e.type::text as word, e.at from procrastinate_events e
   union all
  select 'defer', p.id, p.job_id, p.task_name, to_timestamp(p.defer_timestamp)
    from procrastinate_periodic_defers p;
create view stalled as
  select j.id from procrastinate_jobs j join procrastinate_workers w on w.id = j.worker_id
   where w.last_heartbeat < now() - interval '30 seconds';
create view most_retried as
  select j.id, j.attempts from procrastinate_jobs j order by j.attempts desc limit 10;

insert into procrastinate_workers (last_heartbeat)
  select '2024-01-01'::timestamptz + n * interval '1 minute' from generate_series(1, 4) n;
insert into procrastinate_jobs (queue_name, task_name, priority, lock, args, status, attempts,
                                worker_id)
  select 'queue' || n % 3, 'task' || n % 5, n % 2, case when n % 3 = 0 then 'lock' || n end,
         jsonb_build_object('n', n),
         (array['todo', 'doing', 'succeeded', 'failed'])[1 + n % 4]::procrastinate_job_status,
         n % 3, case when n % 4 = 1 then 1 + n % 4 end
    from generate_series(1, 30) n;
update procrastinate_jobs set status = 'doing' where id in (4, 8);
update procrastinate_jobs set status = 'succeeded' where id = 8;
insert into procrastinate_periodic_defers (task_name, defer_timestamp, job_id, periodic_id)
  select 'task' || n % 3, 1700000000 + n, n, 'p' || n % 2 from generate_series(1, 9) n;
