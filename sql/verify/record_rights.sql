create or replace function publish.record_rights() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if to_regprocedure('publish.give_reading(name)') is not null then
    perform publish.give_reading(r.role)
       from publish.reader r
      where r.role <> 'publish_reader' and to_regrole(quote_ident(r.role)) is not null;
  end if;
  delete from publish.object;
  insert into publish.object (object, owner, grants, definer, settings)
  select r.object, r.owner, r.grants, r.definer, r.settings
    from publish.rights() r
   where r.owner in ('publish_owner', 'publish_projector')
     and r.object !~ '^function publish_gate[.](project|capture)_[0-9]';
end
$$;
comment on function publish.record_rights() is
  'Keeps in publish.object how the files left owners, rights and functions, and lets readers call '
  'functions that were made again. `pgpublish migrate` calls it last.';
revoke all on function publish.record_rights() from public;
