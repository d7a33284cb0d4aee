set local lock_timeout = '5s';
set local role publish_owner;

create type publish.ages as (
  counts bigint[],
  seconds float8
);
comment on type publish.ages is
  'A histogram of ages since the beginning. counts: how many are in each bucket of '
  'publish.age_bounds, the last without an upper bound. seconds: their sum.';

create table publish.drain (
  drain_id bigint not null,
  head_before bigint not null,
  head bigint not null,
  drained pg_snapshot not null,
  partial_xid xid8,
  partial_seq bigint,
  scanned int not null,
  keys int not null,
  published int not null,
  unchanged int not null,
  quarantined int not null,
  lag interval not null,
  duration interval not null,
  at timestamptz not null,
  next_size int,
  retried boolean not null default false,
  is_full boolean not null default false,
  scanned_total bigint not null default 0,
  unchanged_total bigint not null default 0,
  quarantined_total bigint not null default 0,
  duration_total interval not null default '0',
  waits publish.ages,
  application text,
  constraint drain_pkey primary key (drain_id),
  constraint rev_is_gapless check (head = head_before + published),
  constraint a_partial_transaction_has_a_seq check ((partial_xid is null) = (partial_seq is null))
);
comment on table publish.drain is
  'One row per drain that did something. The newest row is the engine''s state, '
  'the older ones its history. Append-only, so that its cost stays flat under old snapshots.';
comment on column publish.drain.drain_id is 'Counts drains; the highest is the newest.';
comment on column publish.drain.head_before is 'Highest rev before this drain.';
comment on column publish.drain.head is 'Highest rev after this drain.';
comment on column publish.drain.drained is
  'Transactions whose outbox rows are all drained: those visible in this snapshot.';
comment on column publish.drain.partial_xid is
  'Transaction drained only up to partial_seq: larger than the batch, or the drain''s own.';
comment on column publish.drain.partial_seq is 'Last row of partial_xid that is drained.';
comment on column publish.drain.scanned is 'Marks drained.';
comment on column publish.drain.keys is
  'Distinct keys among them: published + unchanged + quarantined.';
comment on column publish.drain.published is 'Keys that changed and got a rev.';
comment on column publish.drain.unchanged is 'Keys that are already published as they are now.';
comment on column publish.drain.quarantined is 'Keys that failed and were set aside.';
comment on column publish.drain.lag is 'Age of the oldest outbox row of this drain.';
comment on column publish.drain.duration is 'From taking the lock to writing this row.';
comment on column publish.drain.next_size is
  'Marks that the next drain takes at most, where drains are slow; null: a whole batch.';
comment on column publish.drain.is_full is 'More marks waited behind its batch.';
comment on column publish.drain.retried is
  'It tried marks with which a drain did not get through before; the next one does not.';

comment on column publish.drain.scanned_total is 'Sum of scanned, since the first drain.';
comment on column publish.drain.unchanged_total is 'Sum of unchanged, since the first drain.';
comment on column publish.drain.quarantined_total is 'Sum of quarantined, since the first drain.';
comment on column publish.drain.duration_total is 'Sum of duration, since the first drain.';
comment on column publish.drain.waits is
  'How long each published change had waited when its drain ended, since the first drain: from the '
  'commit of its mark if track_commit_timestamp is on, else from when the mark was written.';
comment on column publish.drain.application is 'application_name of the session that drained.';

create table publish.drain_sample (
  drain_id bigint not null,
  at timestamptz not null,
  keep interval not null,
  last_at timestamptz,
  head bigint not null,
  scanned_total bigint not null,
  unchanged_total bigint not null,
  quarantined_total bigint not null,
  duration_total interval not null,
  waits publish.ages,
  constraint drain_sample_pkey primary key (drain_id)
);
create index drain_sample_at_idx on publish.drain_sample (at);
comment on table publish.drain_sample is
  'What publish.drain counted before the first drain of each ten seconds, for an hour, and of each '
  'five minutes, for a day: what happened in a span is the difference to the newest row there.';
comment on column publish.drain_sample.drain_id is 'The drain that it was before.';
comment on column publish.drain_sample.at is 'When that drain ended.';
comment on column publish.drain_sample.keep is 'How long it is kept.';
comment on column publish.drain_sample.last_at is 'When the drain before it ended.';
comment on index publish.drain_sample_at_idx is
  'publish.latencies: the first sample in a span; publish_maintain trims by it.';

create table publish.published (
  rev bigint not null,
  kind text not null,
  source_id text not null,
  pub_id uuid not null default gen_random_uuid(),
  schema_version int not null,
  payload jsonb,
  payload_hash bytea,
  deleted boolean not null,
  headers jsonb,
  payload_no bigint,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  scope text,
  constraint published_pkey primary key (rev),
  constraint a_tombstone_has_no_payload
    check (deleted = (payload is null) and deleted = (payload_hash is null))
);
create index published_key_idx on publish.published (kind, source_id, rev desc);
create index published_pub_id_idx on publish.published (pub_id, rev desc);
create index published_kind_idx on publish.published (kind, rev);
create index published_scope_idx on publish.published (kind, scope, rev) where scope is not null;
create index published_tombstone_idx on publish.published (kind, updated_at) where deleted;
comment on table publish.published is
  'The feed: one row per key, moved to a new rev by every change. One row per (kind, source_id) '
  'is kept by the single writer; a unique index would cost a walk over dead versions.';
comment on column publish.published.rev is
  'Place in the feed, over all kinds; every change moves the key to the next one.';
comment on column publish.published.pub_id is
  'Opaque public id of the key; survives updates, deletion and re-creation.';
comment on column publish.published.deleted is 'A tombstone: the key was published and is gone.';
comment on column publish.published.payload_hash is 'SHA-256 of the payload''s jsonb text.';
comment on column publish.published.payload_no is
  'Of a payload kind: the highest applied to this key. A lower one that commits later loses.';
comment on column publish.published.scope is
  'Whose the row is: the text of its payload''s member publish.kind.scope; of a tombstone, whose '
  'it was.';
comment on index publish.published_scope_idx is 'publish_changes for a reader with a scope.';
comment on index publish.published_pkey is 'publish_changes: the next rows after a rev.';
comment on index publish.published_key_idx is
  'The drain''s look for what is published of a key. Newest first, to meet no dead version.';
comment on index publish.published_pub_id_idx is 'publish_get.';
comment on index publish.published_kind_idx is
  'publish_changes(kinds), and pruning of payload kinds with a retention.';
comment on index publish.published_tombstone_idx is
  'Pruning of tombstones. By time, so that published_kind_idx cannot be read in its place.';

create table publish.departed (
  rev bigint not null,
  kind text not null,
  source_id text not null,
  pub_id uuid not null,
  schema_version int not null,
  scope text not null,
  created_at timestamptz not null,
  departed_at timestamptz not null,
  constraint departed_pkey primary key (rev),
  constraint departed_once unique (pub_id, scope)
);
create index departed_scope_idx on publish.departed (kind, scope, rev);
create index departed_at_idx on publish.departed (kind, departed_at);
comment on table publish.departed is
  'Keys that left a scope: readers of that scope see a tombstone here. The row goes when the key '
  'comes back, and with the retention of tombstones.';
comment on column publish.departed.rev is 'Of the change that gave the key another scope.';
comment on column publish.departed.scope is 'The one that it left.';
comment on column publish.departed.created_at is 'Of the key''s row in publish.published.';
comment on index publish.departed_scope_idx is 'publish_changes for a reader with a scope.';
comment on index publish.departed_at_idx is 'Pruning.';

create table publish.reader (
  role name not null,
  kinds text[] not null,
  scope text,
  granted_at timestamptz not null default now(),
  constraint reader_pkey primary key (role),
  constraint a_reader_reads_something check (cardinality(kinds) > 0),
  constraint a_scope_is_not_empty check (scope <> '')
);
comment on table publish.reader is
  'Who may read what. Members of publish_worker, publish_admin and publish_owner read everything.';
comment on column publish.reader.role is
  'By name, so that dump and restore leave it valid. publish_reader: for its members that have no '
  'row, and get none from another role.';
comment on column publish.reader.kinds is '{*}: all, also those that are defined later.';
comment on column publish.reader.scope is
  'Of kinds that have a scope, only rows of this one; null: all rows.';
insert into publish.reader (role, kinds) values ('publish_reader', '{*}');

create type publish.reading as (
  kinds text[],
  scope text,
  scoped text[],
  rights text
);
comment on type publish.reading is
  'What a reader may see and asks for. kinds: null for all; never null with a scope. scoped: those '
  'of which it sees rows of its scope only. rights: stands in its cursors for what it was granted; '
  'null for everything.';

create table publish.token (
  name text not null,
  hash bytea not null,
  role name not null,
  scope text,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  constraint token_pkey primary key (name),
  constraint token_hash_is_unique unique (hash),
  constraint token_is_named check (name <> '' and octet_length(name) <= 200),
  constraint a_scope_is_not_empty check (scope <> '')
);
comment on table publish.token is 'Bearer tokens of readers that come through pgpublish serve.';
comment on column publish.token.name is 'What it is for; publish_token_remove takes it.';
comment on column publish.token.hash is
  'SHA-256 of the token, which has 244 random bits and is kept nowhere.';
comment on column publish.token.role is 'The row of publish.reader that counts.';
comment on column publish.token.scope is 'Narrows a reader that has no scope of its own.';
comment on column publish.token.expires_at is 'Null: never.';

create table publish.epoch (
  epoch_no int not null,
  epoch uuid not null default gen_random_uuid(),
  cause text not null,
  first_rev bigint not null,
  system_identifier bigint not null,
  timeline int not null,
  database_oid oid not null,
  relation_oid oid not null,
  at timestamptz not null default clock_timestamp(),
  constraint epoch_pkey primary key (epoch_no),
  constraint epoch_is_unique unique (epoch),
  constraint cause_is_known check (cause in ('start', 'crash', 'promotion', 'moved', 'copied'))
);
comment on table publish.epoch is
  'One row per life of the feed. It begins at the head found there: revs above first_rev may '
  'differ from those of the life before.';
comment on column publish.epoch.epoch_no is 'Counts epochs; the highest is the present one.';
comment on column publish.epoch.epoch is 'What a reader''s cursor names.';
comment on column publish.epoch.cause is
  'start: the first drain, or the server was started. crash: the server recovered from a crash, or '
  'runs on a base backup. promotion: of a standby, or a restore to a point in time. moved: the '
  'database was restored in another cluster, or upgraded by pg_upgrade. copied: it was copied or '
  'restored in the same cluster.';
comment on column publish.epoch.first_rev is 'Head when the epoch began.';
comment on column publish.epoch.system_identifier is
  'Of the cluster, set by initdb; another one is another cluster.';
comment on column publish.epoch.timeline is
  'Of the WAL; a promotion or point-in-time restore begins one.';
comment on column publish.epoch.database_oid is 'Another one is a copy or restore of the database.';
comment on column publish.epoch.relation_oid is
  'OID of publish.published: a restore into the same database makes a new one.';

create unlogged table publish.alive (
  started_at timestamptz not null,
  timeline int not null,
  database_oid oid not null,
  relation_oid oid not null,
  constraint alive_pkey primary key (started_at)
);
comment on table publish.alive is
  'One row: where the last drain ran. While it is so here, the newest epoch goes on. Unlogged: '
  'crash recovery, which may lose what was read before, empties it. A promotion does so too.';
comment on column publish.alive.started_at is
  'Start of the server; recovery after a killed backend leaves it as it was.';
comment on column publish.alive.timeline is 'As in publish.epoch.';
comment on column publish.alive.database_oid is 'As in publish.epoch.';
comment on column publish.alive.relation_oid is 'As in publish.epoch.';

create table publish.floor (
  kind text not null,
  floor bigint not null,
  pruned bigint not null,
  at timestamptz not null default clock_timestamp(),
  departed boolean not null default false,
  constraint floor_pkey primary key (kind, departed, floor)
);
create index floor_floor_idx on publish.floor (floor) where not departed;
comment on table publish.floor is
  'Append-only; a kind''s highest row counts. Rows of the kind at or below its floor may have been '
  'pruned.';
comment on column publish.floor.floor is 'Highest rev of the kind ever pruned.';
comment on column publish.floor.pruned is 'Rows pruned in this step.';
comment on column publish.floor.departed is
  'Of publish.departed: counts for readers with a scope only.';
comment on index publish.floor_floor_idx is
  'publish_changes, publish_claim and publish_status: the floor of all kinds.';

create type publish.drain_batch as (
  marks publish.mark[],
  due uuid[],
  phase int,
  first int,
  is_full boolean,
  looks_up boolean,
  has_failed boolean,
  oldest timestamptz,
  drained pg_snapshot,
  partial_xid xid8,
  partial_seq bigint
);
comment on type publish.drain_batch is
  'What one drain takes. due: those of publish.deferred among the marks. phase: as in '
  'publish.attempt. first: how many are of the first transaction. is_full: more wait behind it. '
  'looks_up: some name a lookup. has_failed: there are failed marks in publish.deferred. oldest: '
  'the lowest enqueued_at. drained, partial_xid, partial_seq: as in publish.drain, once it is '
  'drained.';

create type publish.outbox_place as (
  xid xid8,
  seq bigint
);
comment on type publish.outbox_place is 'Where in the outbox the row of a mark is.';

create type publish.change as (
  mark publish.mark,
  kind text,
  source_id text,
  payload jsonb,
  payload_hash bytea,
  deleted boolean,
  sqlstate text,
  message text,
  verdict text,
  schema_version int,
  scope text,
  old_place tid
);
comment on type publish.change is
  'An entry and what it changes: new, changed, renumbered (the same payload enqueued again), '
  'unchanged, failed or locked. scope: of the payload, null for a deletion. old_place: of its '
  'row in publish.published.';

create type publish.judgement as (
  changes publish.change[],
  keys int,
  new int,
  changed int,
  renumbered int,
  moved int,
  failed int,
  locked int
);
comment on type publish.judgement is
  'What the marks of a batch come to, and how many changes have each verdict; keys: without the '
  'locked ones; moved: how many of the changed ones get another scope.';

grant select on publish.drain, publish.drain_sample, publish.published, publish.epoch,
  publish.alive, publish.floor, publish.departed, publish.reader to publish_admin;
