-- Runs as its caller, who owns what was restored: publish_owner may not take it. A function whose
-- SECURITY DEFINER or settings differ is one that migrate applies again, as its file is unknown.
create or replace function publish.restore_rights() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_wrong record;
  v_grant text;
  v_restored int := 0;
  v_lacks_create boolean :=
    not has_database_privilege('publish_owner', current_database(), 'create')
    and exists (select from publish.wrong_rights() w where w.object like 'schema %');
begin
  if v_lacks_create then
    execute format('grant create on database %I to publish_owner', current_database());
  end if;
  if not has_schema_privilege('publish_owner', 'public', 'create') then
    grant usage, create on schema public to publish_owner;
  end if;
  for v_wrong in
    select w.object, min(w.owner) as owner, min(w.grants) as grants,
           bool_or(w.problem like 'it is not%' or w.problem like 'its settings%') as is_another
      from publish.wrong_rights() w
     group by w.object
     order by w.object not like 'schema %', w.object
  loop
    -- The sequence of an identity column has the owner of its table.
    if not exists (
      select from pg_depend d
       where d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
         and d.objid = case when v_wrong.object like 'sequence %'
                            then to_regclass(substr(v_wrong.object, 10)) end) then
      execute format('alter %s owner to %I', v_wrong.object, v_wrong.owner);
    end if;
    execute format('revoke all on %s from public, %s', v_wrong.object, (
      select string_agg(r.rolname, ', ')
        from pg_roles r
       where r.rolname in ('publish_owner', 'publish_projector', 'publish_writer',
                           'publish_reader', 'publish_worker', 'publish_admin', 'publish_server')
         and r.rolname <> v_wrong.owner));
    foreach v_grant in array v_wrong.grants loop
      execute format('grant %s on %s to %s', split_part(v_grant, ':', 2), v_wrong.object,
                     split_part(v_grant, ':', 1));
    end loop;
    if v_wrong.is_another then
      delete from publish.file f
       where f.path ~ (substring(v_wrong.object from '([a-z0-9_]+)[(]') || '[.]sql$');
    end if;
    v_restored := v_restored + 1;
  end loop;
  for v_wrong in select s.fix from publish.audit_storage() s where s.fix is not null loop
    execute v_wrong.fix;
    v_restored := v_restored + 1;
  end loop;
  perform publish.restore_defaults();
  if v_lacks_create then
    execute format('revoke create on database %I from publish_owner', current_database());
  end if;
  return v_restored;
end
$$;
comment on function publish.restore_rights() is
  'Gives our objects the owners and rights of publish.object; returns to how many. `pgpublish '
  'migrate` calls it, as the user who migrates.';
revoke all on function publish.restore_rights() from public;
