set local lock_timeout = '5s';
set local role publish_owner;

create table publish.setting (
  name text not null,
  type text not null,
  words text[],
  default_value text,
  lowest text,
  highest text,
  scope text not null,
  value text,
  meaning text not null,
  updated_at timestamptz not null default now(),
  constraint setting_pkey primary key (name),
  constraint type_is_known check (type in ('interval', 'bytes', 'int', 'word')),
  constraint a_word_is_one_of_some check ((type = 'word') = (words is not null)),
  constraint a_measure_has_bounds
    check ((type = 'word') = (lowest is null) and (type = 'word') = (highest is null)),
  constraint scope_is_known check (scope in ('installation', 'kind', 'both'))
);
insert into publish.setting
  (name, type, words, default_value, lowest, highest, scope, meaning)
values
  ('publishing', 'word', '{on,off}', 'on', null, null, 'both',
   'off: captures go on, and drains leave the marks for later'),
  ('depth_warning', 'int', null, '1000000', '1', '1000000000000', 'both',
   'marks of a kind to drain of which publish_backlog warns'),
  ('depth_limit', 'int', null, null, '1', '1000000000000', 'kind',
   'about so many marks to drain at most; none: no limit'),
  ('at_depth_limit', 'word', '{walk,refuse}', 'walk', null, null, 'kind',
   'walk: writes to captured tables mark nothing, and the kind is walked later; refuse: PT429'),
  ('tombstone_retention', 'interval', null, '30 days', '0', '1000 years', 'both',
   'how long tombstones are kept; a kind: instead of the retention of its definition'),
  ('hold_limit', 'interval', null, null, '0', '1000 years', 'both',
   'what is older is pruned though a subscription has not read it; none: it waits'),
  ('drain_log_rows', 'int', null, '10000', '1000', '100000000', 'installation',
   'drains of which publish.drain keeps a row'),
  ('drain_log_retention', 'interval', null, '10 minutes', '2 minutes', '1 year', 'installation',
   'how long these rows are kept, however many they are'),
  ('delivery_log_rows', 'int', null, '10000', '1000', '100000000', 'installation',
   'batches of which publish.batch keeps a row'),
  ('delivery_log_retention', 'interval', null, '10 minutes', '2 minutes', '1 year',
   'installation', 'how long these rows are kept, however many they are'),
  ('inbox_retention', 'interval', null, '7 days', '1 second', '90 days', 'installation',
   'how long publish_accept knows a message, where its caller does not say'),
  ('job_retention', 'interval', null, '30 days', '0', '1000 years', 'installation',
   'how long finished jobs are kept'),
  ('maintenance_log_rows', 'int', null, '10000', '100', '100000000', 'installation',
   'runs of publish_maintain of which publish.maintenance keeps a row'),
  ('max_payload', 'bytes', null, '32MB', '1kB', '128MB', 'installation',
   'largest payload, as jsonb and as text; what takes less than 2 kB as jsonb may be more as text'),
  ('max_depth', 'int', null, '1000', '250', '1000', 'installation',
   'deepest nesting of a payload');
comment on table publish.setting is
  'What can be set for the whole installation, with its default and bounds; publish_set sets it. '
  'Settings of one kind are in publish.kind.settings.';
comment on column publish.setting.name is 'As publish_set takes it.';
comment on column publish.setting.type is 'interval, bytes, int, or word: one of words.';
comment on column publish.setting.words is 'Of a word: what it may be.';
comment on column publish.setting.default_value is 'What counts while nothing is set.';
comment on column publish.setting.lowest is 'Lowest value that is taken.';
comment on column publish.setting.highest is 'Highest value that is taken.';
comment on column publish.setting.scope is
  'What it can be set for: the installation, a kind, or both; then that of the kind counts.';
comment on column publish.setting.value is 'What publish_set set; null: the default counts.';

create table publish.maintenance (
  maintenance_id bigint generated always as identity (sequence name publish.maintenance_no cache 1),
  at timestamptz not null default clock_timestamp(),
  duration interval not null,
  busy boolean not null,
  slots_emptied int not null,
  drains_trimmed int not null,
  batches_trimmed int not null,
  messages_forgotten int not null,
  jobs_pruned int not null,
  rows_pruned int not null,
  rows_forced int not null,
  held text[] not null,
  constraint maintenance_pkey primary key (maintenance_id)
);
comment on table publish.maintenance is
  'One row per publish_maintain that removed something, or that something held back.';
comment on column publish.maintenance.maintenance_id is 'Counts up; the highest is the newest.';
comment on sequence publish.maintenance_no is 'Numbers publish.maintenance.';
comment on column publish.maintenance.busy is
  'A drain was running: the feed was not pruned, the log of drains not trimmed.';
comment on column publish.maintenance.slots_emptied is 'Slots of the outbox that were truncated.';
comment on column publish.maintenance.drains_trimmed is 'Rows that went out of publish.drain.';
comment on column publish.maintenance.batches_trimmed is 'Rows that went out of publish.batch.';
comment on column publish.maintenance.messages_forgotten is
  'Rows that went out of publish.accepted.';
comment on column publish.maintenance.jobs_pruned is 'Finished jobs that went.';
comment on column publish.maintenance.rows_pruned is 'Rows of the feed that went.';
comment on column publish.maintenance.rows_forced is
  'Of rows_pruned: those that a subscription had not read, as they were older than hold_limit.';
comment on column publish.maintenance.held is 'What could not go, and why; a sentence each.';

create type publish.finding as (
  name text,
  severity text,
  object text,
  problem text,
  fix text
);
comment on type publish.finding is
  'What publish_doctor finds wrong: an error stops something now, a warning will.';

grant select on publish.setting, publish.maintenance to publish_worker, publish_admin;
grant select on publish.setting to publish_projector;
