create or replace function publish.record_rights() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  delete from publish.object;
  insert into publish.object (object, owner, grants, definer, settings)
  select r.object, r.owner, r.grants, r.definer, r.settings
    from publish.rights() r
   where r.owner in ('publish_owner', 'publish_projector')
     and r.object !~ '^function publish_gate[.](project|capture)_[0-9]'
$$;
comment on function publish.record_rights() is
  'Keeps in publish.object how the files left owners, rights and functions. `pgpublish migrate` '
  'calls it last.';
revoke all on function publish.record_rights() from public;
