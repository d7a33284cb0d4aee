-- As the caller: its settings are those that count.
create or replace function publish.doctor_settings() returns setof publish.finding
language sql
set search_path = pg_catalog, pg_temp
as $$
  select 'autovacuum', 'warning', t.relname, 'autovacuum is off for it', t.fix
    from (select 'the server', 'alter system set autovacuum = on; select pg_reload_conf()'
           where not current_setting('autovacuum')::boolean
          union all
          select c.oid::regclass::text,
                 format('alter table %s reset (autovacuum_enabled)', c.oid::regclass)
            from pg_class c
           where c.relnamespace = 'publish'::regnamespace and c.relname !~ '^outbox'
             and 'autovacuum_enabled=false' = any (c.reloptions)) as t (relname, fix)
  union all
  select 'setting', v.severity, v.name, format('%s is %s', v.name, current_setting(v.name)), v.fix
    from (values
      ('statement_timeout', 'error', 'Give the role 10 s or more, or none: a drain needs some',
       current_setting('statement_timeout')::interval
         between interval '1 ms' and interval '4.999 s'),
      ('synchronous_commit', 'warning', 'on: else a crash takes back what readers saw',
       current_setting('synchronous_commit') = 'off'),
      ('default_transaction_isolation', 'error', 'A drain needs read committed',
       current_setting('default_transaction_isolation') <> 'read committed'),
      ('default_transaction_read_only', 'error', 'A drain writes: off',
       current_setting('default_transaction_read_only')::boolean),
      ('session_replication_role', 'error', 'origin: else captures do not fire',
       current_setting('session_replication_role') = 'replica')
    ) as v (name, severity, fix, is_wrong)
   where v.is_wrong
$$;
comment on function publish.doctor_settings() is
  'For publish_doctor: settings of the server, of our tables and of this session that are in the '
  'way.';
revoke all on function publish.doctor_settings() from public;
grant execute on function publish.doctor_settings() to publish_worker, publish_admin;
