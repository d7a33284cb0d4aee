set local lock_timeout = '5s';
set local role publish_owner;

create table publish.kind (
  kind_no int generated always as identity,
  kind text not null,
  view text,
  key text[],
  schema_version int not null default 1,
  validator text,
  retention interval,
  digest text,
  settings jsonb not null default '{}',
  former text[] not null default '{}',
  scope text,
  show_key boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint kind_pkey primary key (kind),
  constraint kind_no_is_unique unique (kind_no),
  constraint kind_is_named check (kind <> '' and octet_length(kind) <= 200),
  constraint a_view_has_a_key check ((view is null) = (key is null)),
  constraint a_key_has_columns check (cardinality(key) > 0),
  constraint schema_version_is_positive check (schema_version > 0),
  constraint scope_is_named check (scope <> ''),
  constraint retention_is_sane
    check (retention > interval '0' and retention <= interval '1000 years')
);
comment on table publish.kind is
  'What can be published. With a view: projected, the payload is the view''s row. '
  'Without: the payload comes with the enqueue.';
comment on sequence publish.kind_kind_no_seq is 'Numbers publish.kind.';
comment on column publish.kind.kind_no is
  'Part of the name of its projection, publish_gate.project_<kind_no>, and of publish.attempt.';
comment on column publish.kind.kind is 'Name, as every function of the API takes it.';
comment on column publish.kind.view is
  'Qualified, quoted name. A name and not an OID, so that DROP and CREATE of the view, '
  'dump and restore, and pg_upgrade leave it valid.';
comment on column publish.kind.key is
  'The view''s key columns. One column: source_id is its text. '
  'More: source_id is a JSON array of their texts, as in ["7", "en"].';
comment on column publish.kind.schema_version is
  'Version of the payload''s shape; another one publishes every key again.';
comment on column publish.kind.validator is
  'Qualified name of a function (jsonb) returns boolean; false or an error refuses the payload.';
comment on column publish.kind.digest is
  'publish.view_digest of the view as the kind was defined first, before any walk.';
comment on column publish.kind.retention is
  'Payload kinds: rows last published longer ago are pruned. Projected kinds: tombstones only.';
comment on column publish.kind.former is
  'Names that it had: marks of transactions and triggers that still use them are its own.';
comment on column publish.kind.settings is
  'What publish_set set for this kind, by name: text, as in publish.setting.value.';
comment on column publish.kind.scope is
  'Member of the payload that says whose a row is, such as tenant_id; null: everybody''s who may '
  'read the kind.';
comment on column publish.kind.show_key is 'Readers see the source key of its changes.';
create index kind_show_key_idx on publish.kind (kind) where show_key;
comment on index publish.kind_show_key_idx is
  'publish_changes, publish_get and publish_claim: kinds whose key is shown.';

create table publish.projection (
  kind text not null,
  view text not null,
  key text[] not null,
  validator text,
  relation oid not null,
  types text[] not null,
  constraint projection_pkey primary key (kind)
);
comment on table publish.projection is
  'Of what publish_gate.project_<kind_no> was made. The drain makes it again when one of these is '
  'no longer so.';
comment on column publish.projection.relation is 'OID of the view.';
comment on column publish.projection.types is 
  'Types of the key columns, in the order of the key, as SQL names them.';

grant select on publish.kind, publish.projection to publish_admin;
