-- Roles are cluster-wide and may exist already; every later file runs as publish_owner.
set local lock_timeout = '5s';

do $$
declare
  v_role text;
begin
  foreach v_role in array array['publish_owner', 'publish_writer', 'publish_reader',
                                'publish_worker', 'publish_admin'] loop
    if not exists (select from pg_catalog.pg_roles r where r.rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
      exception when duplicate_object or unique_violation then
        null; -- another database of this cluster is being migrated at the same moment
      end;
    end if;
  end loop;
  if not pg_catalog.pg_has_role(current_user, 'publish_owner', 'usage') then
    execute format('grant publish_owner to %I', current_user);
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

comment on role publish_owner is 'pgpublish: owns every object; definer functions run as it';
comment on role publish_writer is 'pgpublish: may enqueue';
comment on role publish_reader is 'pgpublish: may read the feed';
comment on role publish_worker is 'pgpublish: may drain, claim, settle and run jobs';
comment on role publish_admin is 'pgpublish: may define, capture, subscribe, redrive and prune';

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
comment on column publish.file.checksum is 'SHA-256 of the file, hexadecimal.';
grant select on publish.file to publish_writer, publish_reader, publish_worker, publish_admin;
