-- What a restore, or a tool that changes all tables of a database, does to tables. The order of fix
-- does not matter.
create or replace function publish.audit_storage()
returns table (object text, problem text, hint text, fix text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('table %s', c.oid::regclass), p.problem, coalesce(p.hint, 'Run: pgpublish migrate'),
         p.fix
    from pg_class c
   cross join lateral (
     select 'row security is on for it: rows may be hidden from its owner',
            null,
            format('alter table %s disable row level security, no force row level security',
                   c.oid::regclass)
      where c.relrowsecurity or c.relforcerowsecurity
     union all
     select 'it is unlogged: a crash would empty it', null,
            format('alter table %s set logged', c.oid::regclass)
      where c.relpersistence = 'u' and c.relname <> 'alive'
     union all
     select 'it is logged: the drain would not notice a crash', null,
            format('alter table %s set unlogged', c.oid::regclass)
      where c.relpersistence = 'p' and c.relname = 'alive'
     union all
     select format('it has a trigger that is not of pgpublish: %s', t.tgname),
            format('Drop it: drop trigger %I on %s', t.tgname, c.oid::regclass), null
       from pg_trigger t
      where t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0
     union all
     select format('it has a rule that is not of pgpublish: %s', r.rulename),
            format('Drop it: drop rule %I on %s', r.rulename, c.oid::regclass), null
       from pg_rewrite r
      where r.ev_class = c.oid
   ) as p (problem, hint, fix)
   where c.relnamespace = to_regnamespace('publish') and c.relkind in ('r', 'p')
$$;
comment on function publish.audit_storage() is
  'What differs in our tables from how they were made: row security, whether they are logged, '
  'triggers and rules. fix: what `pgpublish migrate` does about it; null: nothing.';
revoke all on function publish.audit_storage() from public;
grant execute on function publish.audit_storage()
  to publish_writer, publish_reader, publish_worker, publish_admin, publish_server;
