set local lock_timeout = '5s';
set local role publish_owner;

-- CACHE 1: a cached range would hand one session older numbers than another's later call.
create sequence publish.outbox_seq cache 1;
comment on sequence publish.outbox_seq is
  'Order of enqueue calls. Payload kinds keep the highest seq applied to a key.';

create table publish.outbox (
  xid xid8 not null default pg_current_xact_id(),
  seq bigint not null default nextval('publish.outbox_seq'),
  kind text not null,
  source_id text not null,
  payload jsonb,
  deleted boolean not null default false,
  headers jsonb,
  enqueued_at timestamptz not null default clock_timestamp(),
  slot smallint not null
    default ((floor(date_part('epoch', transaction_timestamp()) / 300))::bigint % 3),
  constraint source_id_is_indexable check (octet_length(source_id) between 1 and 2000)
) partition by list (slot);
comment on table publish.outbox is
  'Dirty keys, append-only. A row is drained once its xid is in the newest publish.drain.drained. '
  'Slots of five minutes are emptied by TRUNCATE, so nothing here needs vacuum.';
comment on column publish.outbox.xid is 'Top-level transaction that enqueued the row.';
comment on column publish.outbox.source_id is
  'Text of the key in the source; of a composite key the JSON array of its parts'' texts.';
comment on column publish.outbox.payload is 'Of a payload kind; null for a projected kind.';
comment on column publish.outbox.deleted is 'The payload kind''s key is gone: publish a tombstone.';
comment on column publish.outbox.headers is
  'For whoever reads the change, as in {"traceparent": "00-…"}; never part of the payload''s hash.';
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
comment on index publish.outbox_0_pkey is 'The drain''s walk in (xid, seq) order.';
comment on index publish.outbox_1_pkey is 'The drain''s walk in (xid, seq) order.';
comment on index publish.outbox_2_pkey is 'The drain''s walk in (xid, seq) order.';

create table publish.delayed (
  available_at timestamptz not null,
  seq bigint not null default nextval('publish.outbox_seq'),
  kind text not null,
  source_id text not null,
  payload jsonb,
  deleted boolean not null default false,
  headers jsonb,
  enqueued_at timestamptz,
  constraint delayed_pkey primary key (available_at, seq),
  constraint source_id_is_indexable check (octet_length(source_id) between 1 and 2000)
);
comment on table publish.delayed is
  'Enqueues that are not due yet. The drain moves due ones into the outbox, '
  'where they get a new seq, as if they had been enqueued then.';
comment on column publish.delayed.enqueued_at is
  'Of marks that a drain put off because a table was being replaced. Null: enqueued for later.';
comment on index publish.delayed_pkey is 'The drain''s look for due rows.';

create table publish.quarantine (
  kind text not null,
  source_id text not null,
  seq bigint not null,
  payload jsonb,
  deleted boolean not null default false,
  headers jsonb,
  sqlstate text not null,
  message text not null,
  attempts int not null default 1,
  first_failed_at timestamptz not null,
  last_failed_at timestamptz not null,
  next_attempt_at timestamptz not null,
  constraint quarantine_pkey primary key (kind, source_id),
  constraint attempts_are_counted check (attempts > 0)
);
create index quarantine_next_attempt_at_idx on publish.quarantine (next_attempt_at);
comment on table publish.quarantine is
  'Keys that could not be projected, with why. They are tried again at next_attempt_at, '
  'or as soon as they are enqueued again.';
comment on column publish.quarantine.sqlstate is 'Of the last failure.';
comment on column publish.quarantine.message is 'Of the last failure.';
comment on column publish.quarantine.attempts is 'Failures so far; sets the backoff.';
comment on index publish.quarantine_next_attempt_at_idx is 'The drain''s look for due retries.';

create table publish.rescan (
  rescan_id bigint generated always as identity,
  kind text not null,
  reason text not null,
  after text,
  published_after text,
  attempts int not null default 0,
  message text,
  page int,
  next_page_at timestamptz not null default '-infinity',
  requested_at timestamptz not null default clock_timestamp(),
  constraint rescan_pkey primary key (rescan_id),
  constraint page_is_positive check (page > 0)
);
comment on table publish.rescan is
  'Kinds of which every key is to be marked dirty: defined again, or a source was truncated. The '
  'drain walks one, a page in each drain, and deletes it at the end.';
comment on column publish.rescan.rescan_id is 'Order of the requests.';
comment on sequence publish.rescan_rescan_id_seq is 'Numbers publish.rescan.';
comment on column publish.rescan.reason is 'What asked for it.';
comment on column publish.rescan.after is 'Last key of the view marked; null: none yet, or all.';
comment on column publish.rescan.page is
  'Keys a page at most, since one timed out; null: as many as the drain allows.';
comment on column publish.rescan.published_after is
  'Once the view is walked: last source_id marked of what is published; empty before the first.';

grant select on publish.outbox, publish.delayed, publish.quarantine, publish.rescan
  to publish_admin;
