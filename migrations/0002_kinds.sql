set local lock_timeout = '5s';
set local role publish_owner;

create table publish.kind (
  kind text not null,
  view text,
  key text[],
  schema_version int not null default 1,
  validator text,
  retention interval,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint kind_pkey primary key (kind),
  constraint kind_is_named check (kind <> '' and octet_length(kind) <= 200),
  constraint a_view_has_a_key check ((view is null) = (key is null)),
  constraint a_key_has_columns check (cardinality(key) > 0),
  constraint schema_version_is_positive check (schema_version > 0),
  constraint retention_is_positive check (retention > interval '0')
);
comment on table publish.kind is
  'What can be published. With a view: projected, the payload is the view''s row. '
  'Without: the payload comes with the enqueue.';
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
comment on column publish.kind.retention is
  'Rows of this kind are pruned when they were last published longer ago than this.';

grant select on publish.kind to publish_admin;
