set local lock_timeout = '5s';
set local role publish_owner;

create table publish.sink (
  sink text not null,
  options jsonb not null default '{}',
  constraint sink_pkey primary key (sink),
  constraint sink_is_named check (sink <> '' and octet_length(sink) <= 200)
);
comment on table publish.sink is
  'Sinks and the options they know, ours and those of third parties, as publish_register_sink '
  'learned them from the installed packages.';
comment on column publish.sink.sink is 'Name of the kind of endpoint, as webhook or redis.';
comment on column publish.sink.options is
  'Of a sink: each option it knows, with its JSON type and "required". Of a subscription: the '
  'values; a secret is written env:NAME and resolved by the worker.';

create table publish.subscription (
  subscription_id int generated always as identity,
  name text not null,
  sink text not null,
  options jsonb not null,
  kinds text[],
  lanes int not null,
  max_attempts int not null,
  backoff_min interval not null,
  backoff_max interval not null,
  lease interval not null,
  key boolean not null,
  rate numeric,
  filter text,
  on_reset text not null,
  give_up_after interval not null,
  base bigint,
  tombstones_after bigint not null,
  epoch_no int not null,
  life bigint not null default extract(epoch from clock_timestamp())::bigint,
  reset_at timestamptz,
  reset_rev bigint,
  reset_told_at timestamptz,
  sought_at timestamptz,
  paused_at timestamptz,
  paused_reason text,
  disabled_at timestamptz,
  disabled_reason text,
  fault text,
  fault_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint subscription_pkey primary key (subscription_id),
  constraint name_is_unique unique (name),
  constraint subscription_is_named check (name <> '' and octet_length(name) <= 200),
  constraint kinds_are_named check (cardinality(kinds) > 0),
  constraint lanes_are_few check (lanes between 1 and 256),
  constraint max_attempts_is_positive check (max_attempts > 0),
  constraint backoff_grows check (backoff_min > interval '0' and backoff_max >= backoff_min),
  constraint lease_is_positive check (lease > interval '0'),
  constraint rate_is_positive check (rate > 0),
  constraint on_reset_is_known check (on_reset in ('resync', 'pause', 'continue')),
  constraint give_up_after_is_positive check (give_up_after > interval '0'),
  constraint life_has_ten_digits check (life between 0 and 9999999999),
  constraint fault_has_a_time check ((fault is null) = (fault_at is null)),
  constraint disabled_has_a_reason check ((disabled_at is null) = (disabled_reason is null))
);
comment on table publish.subscription is
  'Who gets the feed pushed: what a person said of it. Its position is in publish.batch.';
comment on column publish.subscription.subscription_id is 'The subscription, within this schema.';
comment on sequence publish.subscription_subscription_id_seq is 'Numbers publish.subscription.';
comment on column publish.subscription.name is 'Of the subscription, as every function takes it.';
comment on column publish.subscription.kinds is 'Only these kinds; null is all.';
comment on column publish.subscription.lanes is
  'Parts by hash of pub_id, each with its own cursor and lease, for as many workers.';
comment on column publish.subscription.max_attempts is
  'Counted failures that make a dead letter.';
comment on column publish.subscription.backoff_min is 'Upper limit of the wait after one failure.';
comment on column publish.subscription.backoff_max is
  'Upper limit of a change''s wait. A lane waits a minute at most.';
comment on column publish.subscription.key is 'Messages carry the source key.';
comment on column publish.subscription.filter is
  'SQL over payload; where it is not true, a deletion is sent, or nothing. Null: all is sent.';
comment on column publish.subscription.rate is 'Changes a second, at most; null: no limit.';
comment on column publish.subscription.on_reset is
  'What happens after a promotion or a restore to a point in time, which may have lost changes '
  'that were delivered: resync, pause or continue.';
comment on column publish.subscription.give_up_after is
  'A change that has failed for so long becomes a dead letter at its next failure, counted or not.';
comment on column publish.subscription.epoch_no is
  'The newest publish.epoch that this subscription has dealt with; see publish.heed_epoch.';
comment on column publish.subscription.life is
  'Grows when its consumer is sent everything again after lost data: the upper part of each '
  'sequence.';
comment on column publish.subscription.reset_at is
  'When its life began, if by a resync. Changes of an epoch that began before have the life in '
  'their id.';
comment on column publish.subscription.reset_rev is
  'Of a resync under way: the head when it began. Null: there is none.';
comment on column publish.subscription.reset_told_at is
  'When its consumer was told of the reset; no change is sent before.';
comment on column publish.subscription.sought_at is 'When publish_seek was last called.';
comment on column publish.subscription.paused_reason is
  'Why the database paused it; null: a person did.';
comment on column publish.subscription.fault is
  'Why no worker can send, as one of them reported: a missing module, a host that is not known.';
comment on column publish.subscription.lease is
  'How long a worker may go without settling or extending before its batch is another''s.';
comment on column publish.subscription.base is
  'Head when this subscription began at 0: the floor counts against it, as for any reader.';
comment on column publish.subscription.tombstones_after is
  'Tombstones up to this rev are left out: the head when it began at 0; 0 after a replay.';
comment on column publish.subscription.disabled_reason is 'What the endpoint said: 410 Gone.';

create table publish.lane (
  subscription_id int not null,
  lane int not null,
  constraint lane_pkey primary key (subscription_id, lane)
);
comment on table publish.lane is
  'The lanes there are; a row to lock, never updated. State is the lane''s newest publish.batch.';
comment on column publish.lane.lane is 'Counts from 0.';

create type publish.moment as (
  rev bigint,
  at timestamptz,
  changes int
);
comment on type publish.moment is
  'Changes of a batch that one drain published: the lowest rev, when, and how many.';

create sequence publish.batch_seq cache 1;
comment on sequence publish.batch_seq is 'Fencing tokens: a later claim has a higher one.';

create table publish.batch (
  token bigint not null default nextval('publish.batch_seq'),
  subscription_id int not null,
  lane int not null,
  worker text,
  part text not null default 'fresh',
  cursor bigint not null,
  cursor_to bigint not null,
  retried_to timestamptz not null,
  retry_to timestamptz not null,
  parked_ids uuid[] not null default '{}',
  claimed int not null default 0,
  sent int,
  failed int,
  dead int,
  fresh_failures int not null default 0,
  fresh_due_at timestamptz,
  retries_failures int not null default 0,
  retries_due_at timestamptz,
  answered_at timestamptz,
  resume_at timestamptz,
  error_class text,
  error text,
  lease_until timestamptz,
  claimed_at timestamptz not null default clock_timestamp(),
  settled_at timestamptz,
  moments publish.moment[],
  constraint batch_pkey primary key (token),
  constraint part_is_known check (part in ('fresh', 'retries', 'control')),
  constraint cursor_only_grows check (cursor_to >= cursor),
  constraint an_open_batch_has_a_lease check (settled_at is not null or lease_until is not null)
);
create index batch_lane_idx on publish.batch (subscription_id, lane, token desc);
create index batch_error_idx on publish.batch (subscription_id, token desc)
  where error_class is not null;
comment on table publish.batch is
  'One row per batch. The newest row of a lane is its state, the older ones its history. '
  'A settled row''s cursor_to is where the lane is; an open row''s cursor is.';
comment on column publish.batch.token is
  'Fencing token of the claim: whoever holds an older one than the newest settles nothing.';
comment on column publish.batch.worker is 'Who claimed it, in its own words; null: no claim.';
comment on column publish.batch.part is
  'fresh: changes above the cursor. retries: parked keys. control: one event that tells the '
  'consumer of a reset, or of its end. A row that moves a lane without a claim keeps the part of '
  'the batch before it.';
comment on column publish.batch.cursor is 'Changes up to this rev were dealt with before.';
comment on column publish.batch.cursor_to is 'Changes up to this rev are, once it is settled.';
comment on column publish.batch.retried_to is
  'Retries due before this moment were all taken before; keeps dead index entries out of the way.';
comment on column publish.batch.retry_to is 'What retried_to becomes once the batch is settled.';
comment on column publish.batch.parked_ids is
  'pub_ids in this batch that are parked: retries, or newer changes of dead letters.';
comment on column publish.batch.claimed is 'Changes in it.';
comment on column publish.batch.sent is 'Delivered, as its worker said.';
comment on column publish.batch.failed is
  'Not delivered, and parked, unless its kind was taken out meanwhile.';
comment on column publish.batch.dead is 'Of failed: those that became dead letters.';
comment on column publish.batch.fresh_failures is
  'Circuit of fresh changes: batches in a row that the endpoint answered with nothing. 0: closed. '
  'Above 0: open until fresh_due_at; then the next batch is one change.';
comment on column publish.batch.fresh_due_at is 'No fresh changes are claimed before.';
comment on column publish.batch.retries_failures is
  'Circuit of retries, as fresh_failures. Batches of fresh changes that fail count here too.';
comment on column publish.batch.retries_due_at is 'No retries are claimed before.';
comment on column publish.batch.answered_at is
  'When the endpoint last took or refused a change of this lane.';
comment on column publish.batch.resume_at is 'What publish_settle answered.';
comment on column publish.batch.error_class is
  'Class of one of its failures; null: there was none but what was not tried.';
comment on column publish.batch.error is 'What the endpoint or the sink said of that one.';
comment on column publish.batch.moments is
  'When its changes were published, in the order of rev, until it is settled.';
comment on index publish.batch_error_idx is
  'publish_subscriptions: the last error of each.';
comment on index publish.batch_lane_idx is
  'publish_claim and publish_settle: the newest row of a lane. Newest first, to meet no dead '
  'version.';

create table publish.delivered (
  subscription_id int not null,
  lane int not null,
  token bigint not null,
  sent bigint not null,
  failed bigint not null,
  dead bigint not null,
  waits publish.ages,
  keep interval,
  at timestamptz not null default clock_timestamp(),
  constraint delivered_pkey primary key (subscription_id, lane, token)
);
create index delivered_sample_idx on publish.delivered (subscription_id, lane, at)
  where keep is not null;
comment on table publish.delivered is
  'One row per settled batch of changes. The newest row of a lane counts since its beginning; the '
  'older ones, as far as they are kept, tell a span of time.';
comment on column publish.delivered.sent is 'Changes delivered by this lane so far.';
comment on column publish.delivered.failed is 'Failures of this lane so far.';
comment on column publish.delivered.dead is 'Dead letters of this lane so far.';
comment on column publish.delivered.waits is
  'How long each delivered change had waited: since it was published, or since the subscription '
  'was made, sent elsewhere by publish_seek or had a resync, whichever came last.';
comment on index publish.delivered_sample_idx is
  'publish.latencies: the samples of a time; publish_maintain trims the others.';

create table publish.failure_class (
  class text not null,
  counts text not null,
  is_answer boolean not null,
  lane_waits boolean not null,
  keeps_place boolean not null,
  disables boolean not null,
  is_internal boolean not null,
  meaning text not null,
  constraint failure_class_pkey primary key (class),
  constraint counts_is_known check (counts in ('always', 'if answered', 'never'))
);
insert into publish.failure_class
  (class,      counts,        is_answer, lane_waits, keeps_place, disables, is_internal, meaning)
values
  ('rejected', 'always',      true,  false, false, false, false, 'the endpoint refuses it'),
  ('encoding', 'always',      false, false, false, false, false, 'the sink cannot write it'),
  ('endpoint', 'if answered', false, false, false, false, false, 'refused, timeout, 5xx'),
  ('unknown',  'if answered', false, false, false, false, false, 'nobody can say'),
  ('busy',     'never',       false, true,  false, false, false, 'it asks for time: 429'),
  ('gone',     'never',       false, false, true,  true,  false, 'the endpoint is gone: 410'),
  ('unsent',   'never',       false, false, true,  false, false, 'claimed, and not tried'),
  ('lost',     'always',      false, false, false, false, true,  'its worker died of it'),
  ('pruned',   'always',      false, false, false, false, true,  'the change is no longer there');
comment on table publish.failure_class is
  'What a failure means for its change, its lane and its subscription. The outcome of each batch '
  'follows from these columns: docs/deliver.md has the table.';
comment on column publish.failure_class.class is 'As a sink reports it.';
comment on column publish.failure_class.counts is
  'When it counts as an attempt. if answered: the endpoint answered other changes, of this batch '
  'or, for a retry, of its lane since this key last failed.';
comment on column publish.failure_class.is_answer is 'It proves that the endpoint works.';
comment on column publish.failure_class.lane_waits is
  'Both parts of the lane wait, for as long as the endpoint asked.';
comment on column publish.failure_class.keeps_place is
  'It says nothing of the change, which keeps its place in the queue.';
comment on column publish.failure_class.disables is 'It disables the subscription.';
comment on column publish.failure_class.is_internal is 'No worker may report it.';
comment on column publish.failure_class.meaning is 'For people.';

create type publish.failure as (
  pub_id uuid,
  rev bigint,
  class text,
  message text,
  retry_after float8
);
comment on type publish.failure is
  'What publish_settle is told of one change. retry_after: seconds that the endpoint asked for.';

create type publish.state as (
  subscription_id int,
  lane int,
  token bigint,
  is_open boolean,
  worker text,
  lease_until timestamptz,
  cursor bigint,
  retried_to timestamptz,
  part text,
  fresh_failures int,
  fresh_due_at timestamptz,
  retries_failures int,
  retries_due_at timestamptz,
  answered_at timestamptz
);
comment on type publish.state is
  'The state of a lane: a row of the view publish.lane_now.';

create type publish.ask as (
  part text,
  head bigint,
  now timestamptz,
  size int,
  worker text
);
comment on type publish.ask is
  'What a claim takes of one lane. part: as in publish.batch; null: nothing. head: up to which '
  'rev. now: retries due by then. size: how many changes at most. worker: for whom.';

create type publish.message as (
  token bigint,
  lease_until timestamptz,
  place bigint,
  rev bigint,
  kind text,
  pub_id uuid,
  source_id text,
  schema_version int,
  deleted boolean,
  payload jsonb,
  headers jsonb,
  updated_at timestamptz,
  attempts int
);
comment on type publish.message is
  'One change of a leased lane. place: its place in the batch. attempts: failures so far.';

create table publish.parked (
  subscription_id int not null,
  pub_id uuid not null,
  lane int not null,
  rev bigint not null,
  class text not null,
  message text not null,
  attempts int not null,
  first_failed_at timestamptz,
  last_failed_at timestamptz,
  next_attempt_at timestamptz,
  constraint parked_pkey primary key (subscription_id, pub_id),
  constraint attempts_are_not_negative check (attempts >= 0)
);
create index parked_next_attempt_at_idx
  on publish.parked (subscription_id, lane, next_attempt_at, rev);
create index parked_dead_idx on publish.parked (subscription_id, rev) where next_attempt_at is null;
comment on table publish.parked is
  'Keys a subscription failed to deliver: retries with next_attempt_at, dead letters without. '
  'No payload: a retry sends the key''s newest change.';
comment on column publish.parked.rev is 'What was sent when it failed last.';
comment on column publish.parked.class is 'A row of publish.failure_class.';
comment on column publish.parked.attempts is 'Failures that count; see publish.failure_class.';
comment on column publish.parked.first_failed_at is
  'Since when it fails; null while it was claimed and never tried.';
comment on column publish.parked.next_attempt_at is 'It is left alone before; null: a dead letter.';
comment on index publish.parked_next_attempt_at_idx is 'publish_claim: retries that are due.';
comment on index publish.parked_dead_idx is 'publish_dead_letters, publish_redrive.';

create index epoch_break_idx on publish.epoch (epoch_no)
  where cause in ('promotion', 'moved', 'copied');
comment on index publish.epoch_break_idx is
  'publish_claim: whether the feed may have gone back.';

create table publish.accepted (
  role text not null,
  consumer text not null,
  message_id text not null,
  expires_at timestamptz not null,
  constraint accepted_pkey primary key (role, consumer, message_id),
  constraint consumer_is_named check (consumer <> '' and octet_length(consumer) <= 200),
  constraint message_id_is_indexable check (octet_length(message_id) between 1 and 1000)
);
create index accepted_expires_at_idx on publish.accepted (expires_at);
comment on table publish.accepted is 'What consumers have processed, kept for a time to live.';
comment on column publish.accepted.role is
  'Who accepts: the role set, else the login. No other role''s acceptance counts for it.';
comment on column publish.accepted.consumer is 'Whose processing; each consumer accepts once.';
comment on column publish.accepted.message_id is 'The CloudEvents id, or webhook-id.';
comment on index publish.accepted_expires_at_idx is 'publish_maintain prunes what has expired.';

grant select on publish.sink, publish.subscription, publish.lane, publish.batch, publish.parked,
  publish.delivered, publish.failure_class, publish.accepted to publish_admin;
