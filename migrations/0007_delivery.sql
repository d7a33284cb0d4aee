set local lock_timeout = '5s';
set local role publish_owner;

create table publish.sink (
  sink text not null,
  options jsonb not null default '{}',
  constraint sink_pkey primary key (sink),
  constraint sink_is_named check (sink <> '' and octet_length(sink) <= 200)
);
comment on table publish.sink is
  'Sinks of third parties, as publish_register_sink learned them; the built-in ones are known to '
  'publish.sink_options.';
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
  base bigint,
  tombstones_after bigint not null,
  paused_at timestamptz,
  disabled_at timestamptz,
  disabled_reason text,
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
comment on column publish.subscription.max_attempts is 'Failures that make a dead letter.';
comment on column publish.subscription.backoff_min is 'Upper limit of the wait after one failure.';
comment on column publish.subscription.backoff_max is 'Upper limit of any wait.';
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

create sequence publish.batch_seq cache 1;
comment on sequence publish.batch_seq is 'Fencing tokens: a later claim has a higher one.';

create table publish.batch (
  token bigint not null default nextval('publish.batch_seq'),
  subscription_id int not null,
  lane int not null,
  worker text,
  cursor bigint not null,
  cursor_to bigint not null,
  retried_to timestamptz not null,
  retry_to timestamptz not null,
  held_ids uuid[] not null default '{}',
  claimed int not null default 0,
  sent int,
  failed int,
  dead int,
  failures int not null default 0,
  resume_at timestamptz,
  lease_until timestamptz,
  claimed_at timestamptz not null default clock_timestamp(),
  settled_at timestamptz,
  constraint batch_pkey primary key (token),
  constraint cursor_only_grows check (cursor_to >= cursor),
  constraint an_open_batch_has_a_lease check (settled_at is not null or lease_until is not null)
);
create index batch_lane_idx on publish.batch (subscription_id, lane, token desc);
comment on table publish.batch is
  'One row per batch. The newest row of a lane is its state, the older ones its history. '
  'A settled row''s cursor_to is where the lane is; an open row''s cursor is.';
comment on column publish.batch.token is
  'Fencing token of the claim: whoever holds an older one than the newest settles nothing.';
comment on column publish.batch.worker is 'Who claimed it, in its own words; null: no claim.';
comment on column publish.batch.cursor is 'Changes up to this rev were dealt with before.';
comment on column publish.batch.cursor_to is 'Changes up to this rev are, once it is settled.';
comment on column publish.batch.retried_to is
  'Retries due before this moment were all taken before; keeps dead index entries out of the way.';
comment on column publish.batch.retry_to is 'What retried_to becomes once the batch is settled.';
comment on column publish.batch.held_ids is
  'pub_ids in this batch that are retries, or newer changes of dead letters.';
comment on column publish.batch.claimed is 'Changes in it.';
comment on column publish.batch.sent is 'Delivered, as its worker said.';
comment on column publish.batch.failed is
  'Not delivered, and parked, unless its kind was taken out meanwhile.';
comment on column publish.batch.dead is 'Of failed: those that became dead letters.';
comment on column publish.batch.failures is
  'Batches in a row in which the endpoint failed a change that had not failed before; at least 1 '
  'while it fails. Above 0 the next batch is one change.';
comment on index publish.batch_lane_idx is
  'publish_claim and publish_settle: the newest row of a lane. Newest first, to meet no dead '
  'version.';

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
  constraint class_is_known check
    (class in ('encoding', 'endpoint', 'rejected', 'gone', 'unknown', 'unsent', 'pruned')),
  constraint attempts_are_not_negative check (attempts >= 0)
);
create index parked_next_attempt_at_idx
  on publish.parked (subscription_id, lane, next_attempt_at);
create index parked_dead_idx on publish.parked (subscription_id) where next_attempt_at is null;
comment on table publish.parked is
  'Keys a subscription failed to deliver: retries with next_attempt_at, dead letters without. '
  'No payload: a retry sends the key''s newest change.';
comment on column publish.parked.rev is 'What was sent when it failed last.';
comment on column publish.parked.attempts is
  'Failures that count: where the endpoint took nothing of a batch, or asked for time, only of the '
  'one tried least.';
comment on column publish.parked.class is
  'encoding (we cannot write it), endpoint (refused, timeout, 5xx, 429), rejected (other 4xx), '
  'gone (410), unknown, unsent (claimed, not tried), pruned (the change is no longer there).';
comment on index publish.parked_next_attempt_at_idx is 'publish_claim: retries that are due.';
comment on index publish.parked_dead_idx is 'publish_dead_letters.';

create table publish.accepted (
  consumer text not null,
  message_id text not null,
  expires_at timestamptz not null,
  constraint accepted_pkey primary key (consumer, message_id),
  constraint consumer_is_named check (consumer <> '' and octet_length(consumer) <= 200),
  constraint message_id_is_indexable check (octet_length(message_id) between 1 and 1000)
);
create index accepted_expires_at_idx on publish.accepted (expires_at);
comment on table publish.accepted is 'What consumers have processed, kept for a time to live.';
comment on column publish.accepted.consumer is 'Whose processing; each consumer accepts once.';
comment on column publish.accepted.message_id is 'The CloudEvents id, or webhook-id.';
comment on index publish.accepted_expires_at_idx is 'publish_maintain prunes what has expired.';

grant select on publish.sink, publish.subscription, publish.lane, publish.batch, publish.parked,
  publish.accepted to publish_admin;
