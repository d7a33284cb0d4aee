set local lock_timeout = '5s';
set local role publish_owner;

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
  seq bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint published_pkey primary key (rev),
  constraint a_tombstone_has_no_payload
    check (deleted = (payload is null) and deleted = (payload_hash is null))
);
create index published_key_idx on publish.published (kind, source_id, rev desc);
create index published_pub_id_idx on publish.published (pub_id, rev desc);
create index published_kind_idx on publish.published (kind, rev);
create index published_tombstone_idx on publish.published (rev) where deleted;
comment on table publish.published is
  'The feed: one row per key, moved to a new rev by every change. One row per (kind, source_id) '
  'is kept by the single writer; a unique index would cost a walk over dead versions.';
comment on column publish.published.rev is
  'Place in the feed, over all kinds; every change moves the key to the next one.';
comment on column publish.published.pub_id is
  'Opaque public id of the key; survives updates, deletion and re-creation.';
comment on column publish.published.deleted is 'A tombstone: the key was published and is gone.';
comment on column publish.published.payload_hash is 'SHA-256 of the payload''s jsonb text.';
comment on column publish.published.seq is 'Highest outbox seq applied to this key.';
comment on index publish.published_pkey is 'publish_changes: the next rows after a rev.';
comment on index publish.published_key_idx is
  'The drain''s look for what is published of a key. Newest first, to meet no dead version.';
comment on index publish.published_pub_id_idx is 'publish_get.';
comment on index publish.published_kind_idx is
  'publish_changes(kinds), and pruning of kinds with a retention.';
comment on index publish.published_tombstone_idx is 'Pruning of tombstones.';

create table publish.epoch (
  epoch_no int not null,
  epoch uuid not null default gen_random_uuid(),
  first_rev bigint not null,
  system_identifier bigint not null,
  timeline int not null,
  database_oid oid not null,
  relation_oid oid not null,
  started_at timestamptz not null default pg_postmaster_start_time(),
  at timestamptz not null default clock_timestamp(),
  constraint epoch_pkey primary key (epoch_no),
  constraint epoch_is_unique unique (epoch)
);
comment on table publish.epoch is
  'One row per life of the feed. A restart, promotion, restore or copy of the database starts one '
  'at the head found there: revs above first_rev may differ from those of the life before.';
comment on column publish.epoch.epoch_no is 'Counts epochs; the highest is the present one.';
comment on column publish.epoch.epoch is 'What a reader''s cursor names.';
comment on column publish.epoch.first_rev is 'Head when the epoch began.';
comment on column publish.epoch.system_identifier is
  'Of the cluster, set by initdb; another one is another cluster.';
comment on column publish.epoch.timeline is
  'Of the WAL; a promotion or point-in-time restore begins one.';
comment on column publish.epoch.database_oid is 'Another one is a copy or restore of the database.';
comment on column publish.epoch.relation_oid is
  'OID of publish.published: a restore into the same database makes a new one.';

create table publish.floor (
  floor bigint not null,
  pruned bigint not null,
  at timestamptz not null default clock_timestamp(),
  constraint floor_pkey primary key (floor)
);
comment on table publish.floor is
  'Append-only; the newest row counts. Rows at or below the floor may have been pruned.';
comment on column publish.floor.floor is 'Highest rev ever pruned.';
comment on column publish.floor.pruned is 'Rows pruned in this step.';

grant select on publish.drain, publish.published, publish.epoch, publish.floor to publish_admin;
