set local lock_timeout = '5s';
set local role publish_owner;

create table publish.capture (
  capture_id int generated always as identity,
  kind text not null,
  source text not null,
  key text not null,
  for_key text[] not null,
  lookup text,
  columns text[],
  always boolean not null default false,
  by_row boolean not null,
  plain boolean not null,
  pinned boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint capture_pkey primary key (capture_id),
  constraint columns_are_named check (cardinality(columns) > 0)
);
comment on table publish.capture is
  'Which tables mark keys of which kind dirty, by triggers that call publish_gate.capture_<id>().';
comment on column publish.capture.capture_id is
  'Part of the names of its functions and triggers.';
comment on sequence publish.capture_capture_id_seq is 'Numbers publish.capture.';
comment on column publish.capture.source is
  'The table, as it was named when it was captured. Its functions hold on to the table itself.';
comment on column publish.capture.key is
  'SQL over the source''s row: the key of the kind or, with a lookup, what is looked up.';
comment on column publish.capture.for_key is
  'The kind''s key columns when the table was captured; with others it must be captured again.';
comment on column publish.capture.lookup is
  'Query from $1, an array of key''s type, to keys of the kind; asked by the drain.';
comment on column publish.capture.columns is
  'An update that changes neither these nor the key marks nothing; null: every update marks.';
comment on column publish.capture.always is
  'The triggers also fire for rows that logical replication applies.';
comment on column publish.capture.by_row is
  'Row triggers instead of statement triggers: on partitions, inheritance and replicated tables, '
  'and for columns of a table without a primary key.';
comment on column publish.capture.plain is
  'The key is made of columns alone: its text cannot fail.';
comment on column publish.capture.pinned is
  'The key''s text depends on settings, as that of a timestamp does.';

grant select on publish.capture to publish_admin;
