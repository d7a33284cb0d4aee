set local lock_timeout = '5s';
set local role publish_owner;

-- CACHE 1: a later start of a job must have the higher token, whichever session it came from.
create sequence publish.job_token_seq cache 1;
comment on sequence publish.job_token_seq is
  'Numbers every start of every job: the fencing token, and the object of its advisory lock.';

create table publish.job (
  id text not null,
  kind text not null,
  status text not null default 'pending',
  priority smallint not null default 0,
  data jsonb not null default '{}',
  attempts int not null default 0,
  max_attempts int not null default 10,
  backoff_min interval not null default interval '10 seconds',
  backoff_max interval not null default interval '1 hour',
  due_at timestamptz,
  token bigint,
  pid int,
  worker text,
  lease interval,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  beat_at timestamptz,
  saved_at timestamptz,
  setbacks int not null default 0,
  round bigint not null default 0,
  finished_at timestamptz,
  constraint job_pkey primary key (id),
  constraint id_is_indexable check (octet_length(id) between 1 and 500),
  constraint kind_is_named check (octet_length(kind) between 1 and 200),
  constraint status_is_known
    check (status in ('pending', 'running', 'failed', 'succeeded', 'ignored')),
  constraint priority_is_0_to_100 check (priority between 0 and 100),
  constraint data_is_an_object check (jsonb_typeof(data) = 'object'),
  constraint attempts_are_counted check (attempts >= 0 and max_attempts > 0),
  constraint backoff_is_a_range
    check (interval '0' < backoff_min and backoff_min <= backoff_max),
  constraint a_job_to_run_is_due
    check (due_at is not null or status in ('succeeded', 'ignored')),
  constraint due_is_a_time_that_clients_can_read
    check (due_at >= '1000-01-01 UTC' and due_at < '9001-01-01 UTC'),
  constraint a_success_is_not_due check (due_at is null or status <> 'succeeded'),
  constraint a_running_job_has_a_token check (status <> 'running' or token is not null)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
create index job_due_idx on publish.job (kind, priority desc, due_at)
  where status in ('pending', 'failed');
create index job_status_idx on publish.job (status, created_at);
comment on table publish.job is
  'Tracked work: one row per job, from publish_job_add until its retention is over.';
comment on column publish.job.id is 'Chosen by who adds it; adding it again changes nothing.';
comment on column publish.job.status is
  'pending; running; failed: will be tried again at due_at; succeeded; ignored: failed '
  'max_attempts times, or cancelled.';
comment on column publish.job.priority is '0 to 100; of jobs that are due the highest goes first.';
comment on column publish.job.data is
  'JSON object: what to do, and how far it got. Saved by publish_job_beat and publish_job_done.';
comment on column publish.job.attempts is
  'Starts since the last success or saved progress, whichever came last.';
comment on column publish.job.max_attempts is
  'Starts without success or progress after which the job is ignored.';
comment on column publish.job.backoff_min is 'Wait after the first failure; doubles with each.';
comment on column publish.job.backoff_max is 'Longest wait between two attempts.';
comment on column publish.job.due_at is
  'When it may be started; of a running job when its lease ends and it may be taken over; of one '
  'cancelled while it ran, when that run''s lease ends.';
comment on column publish.job.token is 'Of the last start; settling with another is refused.';
comment on column publish.job.pid is
  'Backend that took the advisory lock of this run; null behind a pooler, where the lease decides.';
comment on column publish.job.worker is 'Who started it last, in its own words.';
comment on column publish.job.lease is 'How long a start or a beat keeps the job.';
comment on column publish.job.saved_at is 'Last time data was saved, in this run or before it.';
comment on column publish.job.setbacks is
  'Runs since the last success that failed or whose worker died: the more, the longer it waits.';
comment on column publish.job.round is
  'How often it was done: grows with each success, so that a job that runs again does its steps '
  'again.';
comment on index publish.job_due_idx is 'publish_job_start: the next job of a kind that is due.';
comment on index publish.job_status_idx is
  'publish_jobs; runs whose worker is gone (publish_job_start); publish_job_prune.';

create table publish.job_error (
  error_id bigint generated always as identity,
  id text not null,
  attempt int not null,
  error text not null,
  message text not null,
  traceback text,
  worker text,
  at timestamptz not null default clock_timestamp(),
  constraint job_error_pkey primary key (error_id),
  constraint an_error_is_a_job_s foreign key (id) references publish.job (id) on delete cascade
);
create index job_error_job_idx on publish.job_error (id, error_id);
create index job_error_at_idx on publish.job_error (at);
comment on table publish.job_error is 'Every failure of every job, until publish_job_prune.';
comment on column publish.job_error.error_id is 'Order of the failures.';
comment on sequence publish.job_error_error_id_seq is 'Numbers publish.job_error.';
comment on column publish.job_error.attempt is 'Which start of the job this was.';
comment on column publish.job_error.error is
  'SQLSTATE or type of the exception; "lost": the worker died; "cancelled": publish_job_cancel.';
comment on column publish.job_error.traceback is 'The last 20,000 characters of it.';
comment on index publish.job_error_job_idx is
  'publish_job_errors, and the last error in publish_jobs.';
comment on index publish.job_error_at_idx is 'publish_job_prune: old errors of jobs that recur.';

create table publish.job_step (
  id text not null,
  round bigint not null,
  name text not null,
  result jsonb not null,
  at timestamptz not null default clock_timestamp(),
  constraint job_step_pkey primary key (id, round, name),
  constraint a_step_is_a_job_s foreign key (id) references publish.job (id) on delete cascade,
  constraint a_step_has_a_name check (octet_length(name) between 1 and 200)
);
comment on table publish.job_step is
  'What the steps of a job returned: a step that is here is not run again in this round.';
comment on column publish.job_step.name is 'Chosen by the body of the job.';
comment on column publish.job_step.result is 'JSON; null is the JSON null.';

create table publish.job_limit (
  kind text not null,
  max_running int not null,
  constraint job_limit_pkey primary key (kind),
  constraint a_limit_leaves_room check (max_running > 0)
);
comment on table publish.job_limit is
  'Kinds of which only so many jobs run at a time. A start of such a kind locks its row.';
comment on column publish.job_limit.max_running is 'How many jobs of the kind may run at a time.';

create table publish.job_schedule (
  name text not null,
  kind text not null,
  cron text not null,
  time_zone text not null,
  data jsonb not null default '{}',
  priority smallint not null default 0,
  max_attempts int not null default 10,
  missed text not null default 'once',
  next_at timestamptz,
  last_at timestamptz,
  fault text,
  constraint job_schedule_pkey primary key (name),
  constraint name_leaves_room_for_a_time check (octet_length(name) between 1 and 400),
  constraint missed_is_once_or_each check (missed in ('once', 'each')),
  constraint priority_is_0_to_100 check (priority between 0 and 100),
  constraint data_is_an_object check (jsonb_typeof(data) = 'object')
);
create index job_schedule_due_idx on publish.job_schedule (next_at);
comment on table publish.job_schedule is
  'Recurring jobs: each time adds a job, which publish_job_start does when it is due.';
comment on column publish.job_schedule.cron is
  'Minute, hour, day of month, month, day of week, as in crontab(5).';
comment on column publish.job_schedule.time_zone is
  'In which cron is meant, as in Europe/Berlin. Shifts of its clock: as publish.cron_next says.';
comment on column publish.job_schedule.missed is
  'Of several times that have passed unseen: once: one job, of the first; each: a job for each.';
comment on column publish.job_schedule.next_at is 'The next time that adds a job; null: none.';
comment on column publish.job_schedule.last_at is 'The last time for which a job was added.';
comment on column publish.job_schedule.fault is
  'Why no next time could be computed, as when the time zone is gone; null: nothing is wrong.';
comment on index publish.job_schedule_due_idx is 'publish_job_start: schedules that are due.';

grant select on publish.job, publish.job_error, publish.job_step, publish.job_limit,
  publish.job_schedule to publish_admin;
