-- Roles are cluster-wide and may exist already; every later file runs as publish_owner.
set local lock_timeout = '5s';

do $$
declare
  v_role text;
  v_comment text;
begin
  for v_role, v_comment in values
    ('publish_owner', 'pgpublish: owns every object; definer functions run as it'),
    ('publish_writer', 'pgpublish: may enqueue'),
    ('publish_reader', 'pgpublish: may read the feed'),
    ('publish_worker', 'pgpublish: may drain, claim, settle and run jobs'),
    ('publish_admin', 'pgpublish: may define, capture, subscribe, redrive and prune')
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
  if exists (select from pg_catalog.pg_roles r
              where r.rolname = 'publish_owner' and (r.rolsuper or r.rolcanlogin)) then
    raise exception 'publish_owner must be neither a superuser nor able to log in' using
      errcode = '42501',
      detail = 'A role of this name existed before, with such rights.',
      hint = 'As a superuser: alter role publish_owner nosuperuser nologin';
  end if;
  if not pg_catalog.pg_has_role(current_user, 'publish_owner', 'usage') then
    begin
      execute format('grant publish_owner to %I', current_user);
    exception when insufficient_privilege then
      raise exception 'this user is not a member of publish_owner' using
        errcode = '42501',
        detail = format('User %I; the roles were created by another.', current_user),
        hint = format('As a superuser, or as who created it: grant publish_owner to %I',
                      current_user);
    end;
  end if;
end
$$;

do $$
begin
  execute format('grant create on database %I to publish_owner', current_database());
  create schema if not exists publish;
  alter schema publish owner to publish_owner;
  execute format('revoke create on database %I from publish_owner', current_database());
  grant usage, create on schema public to publish_owner;
end
$$;

set local role publish_owner;
comment on schema publish is
  'pgpublish: SQL views and payloads as a revisioned change feed. The API is public.publish_*.';
alter default privileges for role publish_owner revoke execute on functions from public;
grant usage on schema publish
  to publish_writer, publish_reader, publish_worker, publish_admin;

create table publish.file (
  path text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  constraint file_pkey primary key (path)
);
comment on table publish.file is
  'What is installed: each migration and each file of sql/ with the SHA-256 of its text.';
comment on column publish.file.path is 'As in the package: migrations/… or sql/….';
comment on column publish.file.checksum is 'SHA-256 of the file, hexadecimal.';
grant select on publish.file to publish_writer, publish_reader, publish_worker, publish_admin;
