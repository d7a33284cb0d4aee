-- Roles are cluster-wide and may exist already; every later file runs as publish_owner.
set local lock_timeout = '5s';

do $$
declare
  v_role text;
  v_comment text;
  v_member text;
begin
  for v_role, v_comment in values
    ('publish_owner', 'pgpublish: owns every object; definer functions run as it'),
    ('publish_writer', 'pgpublish: may enqueue'),
    ('publish_reader', 'pgpublish: may read the feed'),
    ('publish_worker', 'pgpublish: may drain, claim, settle and run jobs'),
    ('publish_admin', 'pgpublish: may define, capture, subscribe, redrive and prune'),
    ('publish_server', 'pgpublish: reads for the readers that pgpublish serve knows by a token'),
    ('publish_projector', 'pgpublish: runs the SQL of views, lookups, validators, keys: read-only')
  loop
    if not exists (select from pg_catalog.pg_roles r where r.rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
        execute format('comment on role %I is %L', v_role, v_comment);
      exception
        when duplicate_object or unique_violation then
          null; -- another database of this cluster is being migrated at the same moment
        when insufficient_privilege then
          raise exception 'this user may not create the roles of pgpublish' using
            errcode = '42501',
            detail = format('User %I, role %I.', current_user, v_role),
            hint = 'Migrate the first database of a cluster as a superuser or with CREATEROLE.';
      end;
    end if;
  end loop;
  select r.rolname into v_role
    from pg_catalog.pg_roles r
   where r.rolname in ('publish_owner', 'publish_projector') and (r.rolsuper or r.rolcanlogin);
  if found then
    raise exception '% must be neither a superuser nor able to log in', v_role using
      errcode = '42501',
      detail = 'A role of this name existed before, with such rights.',
      hint = format('As a superuser: alter role %I nosuperuser nologin', v_role);
  end if;
  -- publish_owner gives the functions that run foreign SQL to publish_projector.
  for v_role, v_member in values ('publish_owner', current_user),
                                 ('publish_projector', 'publish_owner') loop
    if not pg_catalog.pg_has_role(v_member, v_role, 'usage') then
      begin
        execute format('grant %I to %I', v_role, v_member);
      exception when insufficient_privilege then
        raise exception '% is not a member of %', v_member, v_role using
          errcode = '42501',
          detail = format('User %I; the roles were created by another.', current_user),
          hint = format('As a superuser, or as who created it: grant %I to %I', v_role, v_member);
      end;
    end if;
  end loop;
end
$$;

-- migrate runs what is above again where roles are missing, as after a restore in another cluster.
do $$
declare
  v_schema text;
begin
  -- Somebody else's, who may have rights in it that a change of owner does not end. migrate makes
  -- schema publish itself, for yoyo's tables.
  select n.nspname into v_schema
    from pg_catalog.pg_namespace n
   where n.nspname in ('publish', 'publish_gate')
     and (n.nspowner <> current_user::regrole or n.nspacl is not null
          or exists (select from pg_catalog.pg_proc p where p.pronamespace = n.oid)
          or exists (select from pg_catalog.pg_type t where t.typnamespace = n.oid
                        and t.typname !~ '^_*yoyo_')
          or exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid
                        and c.relname !~ '^_*yoyo_'))
   limit 1;
  if found then
    raise exception 'there is a schema % already', v_schema using
      errcode = '42P06',
      detail = format('Database %I, schema %I; it is not one that pgpublish made.',
                      current_database(), v_schema),
      hint = format('Rename it: alter schema %I rename to …', v_schema);
  end if;
  execute format('grant create on database %I to publish_owner', current_database());
  create schema if not exists publish;
  alter schema publish owner to publish_owner;
  create schema if not exists publish_gate;
  alter schema publish_gate owner to publish_owner;
  execute format('revoke create on database %I from publish_owner', current_database());
  grant usage, create on schema public to publish_owner;
end
$$;

set local role publish_owner;
comment on schema publish is
  'pgpublish: SQL views and payloads as a revisioned change feed. The API is public.publish_*.';
alter default privileges for role publish_owner revoke execute on functions from public;
grant usage on schema publish
  to publish_writer, publish_reader, publish_worker, publish_admin, publish_projector,
     publish_server;
comment on schema publish_gate is
  'pgpublish: functions made of users'' SQL (projections, keys, lookups), and those that run it as '
  'publish_projector.';
grant usage, create on schema publish_gate to publish_projector;
grant usage on schema publish_gate to publish_admin;

create table publish.file (
  path text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  constraint file_pkey primary key (path)
);
comment on table publish.file is
  'What is installed: each migration and each file of sql/ with the SHA-256 of its text.';
comment on column publish.file.path is
  'As in the package: migrations/… or sql/…. Also: version, and role_prefix if there is one.';
comment on column publish.file.checksum is
  'SHA-256 of the file, hexadecimal; of version and role_prefix what they are.';

create table publish.object (
  object text not null,
  owner name not null,
  grants text[] not null,
  definer boolean,
  settings text[],
  constraint object_pkey primary key (object)
);
comment on table publish.object is
  'Who owns what is installed and who may use it, as publish.record_rights found it when migrate '
  'had run. A restore without owners or privileges leaves this as it was.';
comment on column publish.object.object is
  'Class and name, as in: function publish.next_xid(xid8).';
comment on column publish.object.owner is 'publish_owner, or publish_projector for the gate.';
comment on column publish.object.grants is
  'Rights of our roles but the owner, and of PUBLIC, as in publish_reader:EXECUTE.';
comment on column publish.object.definer is 'Of a function: SECURITY DEFINER.';
comment on column publish.object.settings is 'Of a function: its SET clauses.';
grant select on publish.file, publish.object
  to publish_writer, publish_reader, publish_worker, publish_admin, publish_server;
