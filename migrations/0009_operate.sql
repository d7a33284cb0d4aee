set local lock_timeout = '5s';
set local role publish_owner;

create type publish.metric as (
  name text,
  type text,
  labels jsonb,
  value float8,
  help text
);
comment on type publish.metric is 'A row of publish_metrics.';

create table publish.worker_start (
  worker_id uuid not null,
  name text not null,
  kind text not null,
  host text,
  pid int,
  version text,
  since timestamptz not null default clock_timestamp(),
  constraint worker_start_pkey primary key (worker_id),
  constraint worker_kind_is_known check (kind in ('drain', 'deliver', 'jobs'))
);
create index worker_start_since_idx on publish.worker_start (since);
comment on table publish.worker_start is
  'One row per start of a worker. What it does is in publish.worker_beat.';
comment on column publish.worker_start.worker_id is 'Chosen by the worker at its start.';
comment on column publish.worker_start.name is 'As it calls itself in claims: host and process.';
comment on column publish.worker_start.kind is 'drain, deliver or jobs.';
comment on column publish.worker_start.host is 'Where it runs.';
comment on column publish.worker_start.pid is 'Its process there.';
comment on column publish.worker_start.version is 'Of the package pgpublish that it runs.';
comment on column publish.worker_start.since is 'When it started.';
comment on index publish.worker_start_since_idx is 'publish_maintain trims old starts.';

create table publish.worker_beat (
  worker_id uuid not null,
  beat_no bigint generated always as identity,
  doing text not null,
  is_last boolean not null default false,
  at timestamptz not null default clock_timestamp(),
  constraint worker_beat_pkey primary key (worker_id, beat_no)
);
create index worker_beat_at_idx on publish.worker_beat (at);
comment on table publish.worker_beat is
  'Signs of life: each worker appends one every fifteen seconds, and when what it does changes. '
  'The newest counts. Append-only, so that no row is hot and a pooler makes no difference.';
comment on column publish.worker_beat.beat_no is 'Order of the beats.';
comment on sequence publish.worker_beat_beat_no_seq is 'Numbers publish.worker_beat.';
comment on column publish.worker_beat.doing is 'draining, standing by, delivering, a job …';
comment on column publish.worker_beat.is_last is 'It ended as it should.';
comment on index publish.worker_beat_at_idx is 'publish_maintain trims old beats.';

grant select on publish.worker_start, publish.worker_beat to publish_admin;
