-- In the transaction that makes the functions of this version, after them: a migration that drops a
-- function commits before those that call it are made again, and a write to a captured table in
-- between would fail.
create or replace function publish.drop_removed(paths text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_names text[];
  v_view regclass;
  v_routine regprocedure;
begin
  with removed as (
    delete from publish.file f
     where starts_with(f.path, 'sql/') and f.path <> all (drop_removed.paths)
    returning substring(f.path from '([^/]+)[.]sql$') as name
  )
  select array_agg(r.name) into v_names
    from removed r
   where not exists (select from unnest(drop_removed.paths) as p (path)
                      where substring(p.path from '([^/]+)[.]sql$') = r.name);
  for v_view in
    select c.oid
      from pg_class c
     where c.relname = any (v_names) and c.relkind = 'v'
       and c.relnamespace = 'publish'::regnamespace
  loop
    execute format('drop view %s', v_view);
  end loop;
  for v_routine in
    select p.oid
      from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
     where p.proname = any (v_names)
       and (n.nspname in ('publish', 'publish_gate')
            or n.nspname = 'public' and p.proowner = 'publish_owner'::regrole)
  loop
    execute format('drop routine %s', v_routine);
  end loop;
end
$$;
comment on function publish.drop_removed(text[]) is
  'Drops what files of an earlier version made that are not among these paths. `pgpublish migrate` '
  'calls it.';
revoke all on function publish.drop_removed(text[]) from public;
