-- As the caller, for its own settings. Those of other logins count where they are workers, but for
-- session_replication_role: that of an application loses what it writes.
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
  union all
  select 'setting', case c.name when 'synchronous_commit' then 'warning' else 'error' end,
         'role ' || r.rolname, format('its sessions have %s = %s', c.name, c.value),
         format('alter role %I%s reset %I', r.rolname, ' in database ' || quote_ident(d.datname),
                c.name)
    from pg_db_role_setting s
    join pg_roles r on r.oid = s.setrole and r.rolname <> session_user and r.rolcanlogin
    left join pg_database d on d.oid = s.setdatabase
   cross join lateral (
     select split_part(e.entry, '=', 1), substr(e.entry, strpos(e.entry, '=') + 1)
       from unnest(s.setconfig) as e (entry)
   ) as c (name, value)
   where (s.setdatabase = 0 or d.datname = current_database())
     and case when c.name = 'session_replication_role' then c.value = 'replica'
              when pg_has_role(r.oid, 'publish_owner', 'member')
                   or not pg_has_role(r.oid, 'publish_worker', 'member') then false
              when c.name = 'statement_timeout'
              then (c.value || case when c.value ~ '^[0-9]+$' then ' ms' else '' end)::interval
                   between interval '1 ms' and interval '4.999 s'
              when c.name = 'synchronous_commit' then c.value = 'off'
              when c.name = 'default_transaction_isolation' then c.value <> 'read committed'
              when c.name = 'default_transaction_read_only' then c.value::boolean end
$$;
comment on function publish.doctor_settings() is
  'For publish_doctor: settings of the server, of our tables, of this session and of other logins '
  'that are in the way.';
revoke all on function publish.doctor_settings() from public;
grant execute on function publish.doctor_settings() to publish_worker, publish_admin;
