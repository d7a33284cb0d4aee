set local lock_timeout = '5s';
set local role publish_owner;

create type publish.mark as (
  kind text,
  source_id text,
  seq bigint,
  payload_no bigint,
  payload jsonb,
  deleted boolean,
  headers jsonb,
  lookup_id int,
  enqueued_at timestamptz
);
comment on type publish.mark is
  'A key to look at again. With lookup_id, source_id is what the lookup of that capture is asked '
  'for. Revs follow seq. payload_no decides between two payloads of a key: the higher one stays. '
  'enqueued_at: of its commit, if the server has track_commit_timestamp on.';

create type publish.entry as (
  mark publish.mark,
  source_id text,
  payload jsonb,
  payload_hash bytea,
  deleted boolean,
  sqlstate text,
  message text
);
comment on type publish.entry is
  'What a mark comes to: the key as the view spells it, its payload with the SHA-256, deleted, or '
  'why it failed. mark: null where only the view spells a key this way.';

-- CACHE 1: a cached range would hand one session older numbers than another's later call.
create sequence publish.payload_no cache 1;
comment on sequence publish.payload_no is
  'The last number of an enqueued payload; publish.next_payload_no takes the next.';

create table publish.outbox (
  xid xid8 not null default pg_current_xact_id(),
  seq bigint not null default pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
  kind text not null,
  source_ids text[] not null,
  lookup_id int,
  payload_no bigint,
  payload jsonb,
  deleted boolean not null default false,
  headers jsonb,
  enqueued_at timestamptz not null default clock_timestamp(),
  slot smallint not null
    default ((floor(date_part('epoch', transaction_timestamp()) / 300))::bigint % 3)
) partition by list (slot);
comment on table publish.outbox is
  'Marks to drain, append-only. A row is drained once its xid is in the newest '
  'publish.drain.drained. Slots of five minutes are emptied by TRUNCATE, so nothing here needs '
  'vacuum. No CHECK: its text would be parsed again at each write; who inserts has checked.';
comment on column publish.outbox.xid is 'Top-level transaction that enqueued the row.';
comment on column publish.outbox.seq is
  'Order of the rows, unique in a transaction: the WAL position before the row was written. Not '
  'from a sequence, which would change lastval() of the session that writes.';
comment on column publish.outbox.source_ids is
  'Keys, each 1 to 2000 bytes: text of the key in the source; of a composite key the JSON array of '
  'its parts'' texts. Bulk writes put up to 32 in a row.';
comment on column publish.outbox.lookup_id is
  'The publish.capture whose lookup turns source_ids into keys of the kind, in the drain. '
  'Null: they are keys of the kind.';
comment on column publish.outbox.payload_no is
  'Of a payload kind, from publish.next_payload_no: a key keeps the payload with the highest. Null '
  'for a projected kind.';
comment on column publish.outbox.payload is 'Of a payload kind; null for a projected kind.';
comment on column publish.outbox.deleted is 'The payload kind''s key is gone: publish a tombstone.';
comment on column publish.outbox.headers is
  'For readers of the change, as in {"traceparent": "00-…"}; never part of the payload''s hash.';
comment on column publish.outbox.slot is
  'Which five minutes, modulo three, the transaction began in; chooses the partition.';

create table publish.outbox_0 partition of publish.outbox
  (constraint outbox_0_pkey primary key (xid, seq)) for values in (0)
  with (autovacuum_enabled = false, toast.autovacuum_enabled = false);
create table publish.outbox_1 partition of publish.outbox
  (constraint outbox_1_pkey primary key (xid, seq)) for values in (1)
  with (autovacuum_enabled = false, toast.autovacuum_enabled = false);
create table publish.outbox_2 partition of publish.outbox
  (constraint outbox_2_pkey primary key (xid, seq)) for values in (2)
  with (autovacuum_enabled = false, toast.autovacuum_enabled = false);
comment on index publish.outbox_0_pkey is 'The drain reads rows in (xid, seq) order.';
comment on index publish.outbox_1_pkey is 'The drain reads rows in (xid, seq) order.';
comment on index publish.outbox_2_pkey is 'The drain reads rows in (xid, seq) order.';

create table publish.deferred (
  deferred_id uuid not null default gen_random_uuid(),
  due_at timestamptz not null,
  reason text not null,
  kind text not null,
  source_id text not null,
  lookup_id int,
  payload_no bigint,
  payload jsonb,
  deleted boolean not null default false,
  headers jsonb,
  enqueued_at timestamptz,
  attempts int not null default 0,
  sqlstate text,
  message text,
  first_failed_at timestamptz,
  last_failed_at timestamptz,
  constraint deferred_pkey primary key (deferred_id),
  constraint reason_is_known check (reason in ('scheduled', 'locked', 'failed', 'off')),
  constraint a_failure_has_a_sqlstate check ((reason = 'failed') = (sqlstate is not null)),
  constraint source_id_is_indexable check (octet_length(source_id) between 1 and 2000)
);
create unique index deferred_failed_idx
  on publish.deferred (kind, source_id, coalesce(lookup_id, 0)) where reason = 'failed';
create unique index deferred_off_idx
  on publish.deferred (kind, source_id, coalesce(lookup_id, 0)) where reason = 'off';
create index deferred_due_at_idx on publish.deferred (due_at)
  where sqlstate is distinct from '57014';
create index deferred_slow_idx on publish.deferred (due_at) where sqlstate = '57014';
create index deferred_suspect_idx on publish.deferred (kind)
  where sqlstate = '57014' and attempts between 1 and 2;
create index deferred_lookup_idx on publish.deferred (kind, lookup_id) where lookup_id is not null;
comment on table publish.deferred is
  'Marks that are not for the next drain. Due ones join a batch directly. Those that failed stay '
  'until they go through or the key is marked again and does.';
comment on column publish.deferred.deferred_id is 'Random: no sequence, as in the outbox.';
comment on column publish.deferred.source_id is 'As a mark has it.';
comment on column publish.deferred.due_at is 'A drain takes it no sooner.';
comment on column publish.deferred.reason is
  'scheduled: enqueued with available_at. locked: a table was being replaced. failed: the key '
  'could not be projected, or a drain did not get through with it (sqlstate 57014). off: the '
  'kind''s setting publishing is off.';
comment on column publish.deferred.payload_no is
  'As in publish.outbox. A scheduled payload has at least that of the time when it is due.';
comment on column publish.deferred.enqueued_at is 'When the mark was made; null: due_at counts.';
comment on column publish.deferred.attempts is 'Failures so far; sets the backoff.';
comment on column publish.deferred.sqlstate is 'Of the last failure.';
comment on column publish.deferred.message is 'Of the last failure.';
comment on index publish.deferred_failed_idx is
  'One row for a key that fails; the drain''s look for keys that went through.';
comment on index publish.deferred_off_idx is
  'publish.put_off, called by the drain: one row for a key, however often it is written meanwhile.';
comment on index publish.deferred_due_at_idx is 'The drain''s look for other due marks.';
comment on index publish.deferred_lookup_idx is
  'publish_verify: whether a lookup of the kind failed, so that all its keys may be waiting.';
comment on index publish.deferred_suspect_idx is
  'The drain''s look for kinds of which new marks come by themselves.';
comment on index publish.deferred_slow_idx is
  'The drain''s look for due marks with which a drain did not get through.';

create table publish.walk (
  walk_id uuid not null default gen_random_uuid(),
  kind text not null,
  reason text not null,
  position text,
  page int,
  marked bigint not null default 0,
  estimate bigint,
  due_at timestamptz not null default '-infinity',
  attempts int not null default 0,
  message text,
  digest text,
  requested_at timestamptz not null default clock_timestamp(),
  began_at timestamptz,
  constraint walk_pkey primary key (walk_id),
  constraint page_is_positive check (page > 0)
);
create index walk_kind_idx on publish.walk (kind, requested_at);
create index walk_due_at_idx on publish.walk (due_at, requested_at);
comment on table publish.walk is
  'Kinds of which every key is to be marked. A drain marks a page of one, and deletes the row at '
  'the end. A walk that begins does what was asked for before.';
comment on column publish.walk.walk_id is 'Random: no sequence, as in the outbox.';
comment on column publish.walk.reason is 'What asked for it.';
comment on column publish.walk.position is
  'Last key marked: view:KEY, then, when all of the view is marked, feed:KEY. Null before the '
  'first page.';
comment on column publish.walk.page is
  'Keys a page at most, since one timed out; null: as many as the drain takes.';
comment on column publish.walk.marked is 'Keys marked so far.';
comment on column publish.walk.estimate is
  'About how many keys the view shows, as the planner knew when the walk began.';
comment on column publish.walk.due_at is 'The next page comes no sooner.';
comment on column publish.walk.attempts is 'Failures of the page; sets the backoff.';
comment on column publish.walk.message is 'Of the last failure of the page.';
comment on column publish.walk.digest is 'publish.view_digest of the view as the walk began.';
comment on index publish.walk_due_at_idx is 'The drain''s look for the next walk.';
comment on index publish.walk_kind_idx is 'The walks of a kind: publish_walks, the drain.';

create table publish.walked (
  kind text not null,
  reason text not null,
  marked bigint not null,
  estimate bigint,
  requested_at timestamptz not null,
  began_at timestamptz not null,
  ended_at timestamptz not null default clock_timestamp(),
  digest text,
  constraint walked_pkey primary key (kind)
);
comment on table publish.walked is
  'Of each kind the last walk that ended, for publish_walks.';
comment on column publish.walked.digest is 'As in publish.walk.';

create table publish.writer (
  nothing int not null,
  constraint writer_pkey primary key (nothing)
);
comment on table publish.writer is
  'Always empty. Who has locked it in SHARE UPDATE EXCLUSIVE mode is the single writer of the '
  'feed. A table and not an advisory lock, which any session could take.';
comment on column publish.writer.nothing is 'A table needs a column.';

-- setval() is not undone by a rollback, nor by the end of the session.
create sequence publish.attempt minvalue 0 start 0 cache 1;
comment on sequence publish.attempt is
  'What a drain is about to do that may not end: kind_no * 4, + 0 marks, + 1 retry of deferred '
  'marks, + 2 a page of a walk; 0: nothing. A drain that finds another value knows what stopped '
  'the one before it.';

grant select on publish.outbox, publish.deferred, publish.walk, publish.walked
  to publish_admin;
