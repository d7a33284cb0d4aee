-- Who may do what, each call really made. Nothing is for PUBLIC.
begin;
select plan(1181);

create function pg_temp.call_as(role name, query text) returns void language plpgsql as $$
begin
  execute format('set local role %I', role);
  execute query;
  reset role;
end
$$;
create function pg_temp.may(role name, allowed boolean, query text) returns text language sql as $$
  select case when allowed
              then lives_ok(format('select pg_temp.call_as(%L, %L)', role, query),
                            format('%s may %s', role, query))
              else throws_ok(format('select pg_temp.call_as(%L, %L)', role, query), '42501', null,
                             format('%s may not %s', role, query)) end
$$;
create function pg_temp.attach_publish_enqueue() returns void language plpgsql as $$
begin
  create temp table t (id int);
  create trigger t after insert on t for each row execute function publish_enqueue('article', 'id');
  drop table t;
end
$$;
create function pg_temp.reach(query text) returns void language plpgsql as $$
begin
  execute query;
exception when sqlstate 'PT404' or sqlstate 'PT400' or sqlstate 'PT401' then
  null; -- the call was allowed; there is no such job or token, no pg_cron, or it is nonsense
end
$$;
create role test_stranger;
create temp table role (role name, letter text);
insert into role values ('publish_writer', 'w'), ('publish_reader', 'r'), ('publish_worker', 'k'),
                        ('publish_admin', 'a'), ('publish_server', 's'), ('test_stranger', '-');

do $$
begin
  perform publish_define('note');
end
$$;
create table article (id int primary key);
create view shown as select a.id from article a;
grant select on shown to publish_projector;
do $$
begin
  perform publish_define('article', 'shown');
end
$$;
do $$
begin
  perform publish_subscribe(s.name, 'stdout') from (values ('t'), ('u'), ('f')) as s (name);
  perform publish_enqueue('note', 'flying', '{}');
  perform publish_drain();
end
$$;
create temp table flying as select c.token from publish_claim('f', 'w') c;
grant select on flying to public;

-- The API: one call of each function, and by whom it may be made.
create temp table api (call text, roles text);
insert into api values
  ($$select publish_enqueue('note', '1', '{}')$$,             'w  a'),
  ($$select pg_temp.attach_publish_enqueue()$$,               'w  a'),
  ($$select publish_pub_id('note', '1')$$,                    'wrka'),
  ($$select publish_head()$$,                                 ' rkas'),
  ($$select publish_changes()$$,                              ' rka'),
  ($$select publish_page()$$,                                 ' rka'),
  ($$select publish_get('note', gen_random_uuid())$$,         ' rka'),
  ($$select publish_status()$$,                               ' rka'),
  ($$select publish_drain()$$,                                '  ka'),
  ($$select publish_maintain()$$,                             '  ka'),
  ($$select publish.is_off()$$,                               '  ka'),
  ($$select pg_temp.reach('call publish_run(''-1 s'')')$$,    '  ka'),
  ($$select pg_temp.reach('select publish_schedule()')$$,     '  ka'),
  ($$select pg_temp.reach('select publish_unschedule()')$$,   '  ka'),
  ($$select pg_temp.reach('select publish.check_cron()')$$,   '  ka'),
  ($$select publish.cron_jobs('1 minute')$$,                  '  ka'),
  ($$select publish.cron_sql('list')$$,                       '  ka'),
  ($$select publish_doctor()$$,                               '  ka'),
  ($$select publish.doctor_drain('1 h')$$,                    '  ka'),
  ($$select publish.doctor_maintain('1 h')$$,                 '  ka'),
  ($$select publish.doctor_delivery('1 h')$$,                 '  ka'),
  ($$select publish.doctor_roles()$$,                         '  ka'),
  ($$select publish.doctor_server('1 h')$$,                   '  ka'),
  ($$select publish.doctor_settings()$$,                        '  ka'),
  ($$select publish.doctor_cron()$$,                          '  ka'),
  ($$select publish.doctor_cron_jobs('[]', 'x')$$,            '  ka'),
  ($$select publish.doctor_locks(false)$$,                    '  ka'),
  ($$select publish_uninstall_notes()$$,                      '   a'),
  ($$select pg_temp.reach('select publish_rename(''none'', ''x'')')$$,            '   a'),
  ($$select publish_backlog()$$,                              ' rka'),
  ($$select publish_settings()$$,                             '  ka'),
  ($$select publish_set('job_retention')$$,                   '   a'),
  ($$select publish.await_work(1, 1)$$,                       '  ka'),
  ($$select publish.await_job('{a}', 0, 1)$$,                 '  ka'),
  ($$select publish_job_add('a', 'b')$$,                      'w ka'),
  ($$select publish_job_start(kinds => '{none}')$$,           '  ka'),
  ($$select pg_temp.reach('select publish_job_beat(''none'', 1)')$$,              '  ka'),
  ($$select pg_temp.reach('select publish_job_done(''none'', 1)')$$,              '  ka'),
  ($$select pg_temp.reach('select publish_job_next(''none'', 1)')$$,              '  ka'),
  ($$select pg_temp.reach('select publish_job_fail(''none'', 1, ''e'', ''m'')')$$, '  ka'),
  ($$select pg_temp.reach('select publish_job_release(''none'', 1)')$$,           '  ka'),
  ($$select pg_temp.reach('select publish_job_cancel(''none'')')$$,               '   a'),
  ($$select pg_temp.reach('select publish_job_retry(''none'')')$$,                '   a'),
  ($$select pg_temp.reach('select publish_job_errors(''none'')')$$,               '  ka'),
  ($$select publish_jobs()$$,                                 '  ka'),
  ($$select pg_temp.reach('select publish_job_step(''none'', 1, ''s'')')$$,       '  ka'),
  ($$select pg_temp.reach('select publish_job_steps(''none'')')$$,                '  ka'),
  ($$select publish_job_limit('none', null)$$,                '   a'),
  ($$select publish_job_limits()$$,                           '  ka'),
  ($$select publish_job_schedule('none', 'k', '* * * * *')$$, '   a'),
  ($$select pg_temp.reach('select publish_job_unschedule(''none'')')$$,           '   a'),
  ($$select publish_job_schedules()$$,                        '  ka'),
  ($$select publish_job_prune()$$,                            '  ka'),
  ($$select publish_define('other')$$,                        '   a'),
  ($$select publish_backfill('article')$$,                    '  ka'),
  ($$select publish.estimated_keys('article')$$,              '  ka'),
  ($$select publish_walk('article')$$,                        '  ka'),
  ($$select publish_walks()$$,                                '  ka'),
  ($$select pg_temp.reach('select publish.begin_verify(''none'', 1, ''{}'', ''{}'', null)')$$,
                                                              '  ka'),
  ($$select publish_subscribe('s', 'stdout')$$,               '   a'),
  ($$select publish_claim('t', 'w')$$,                        '  ka'),
  ($$select publish_settle(token) from flying$$,              '  ka'),
  ($$select publish_extend(token) from flying$$,              '  ka'),
  ($$select publish.deliverable()$$,                          '  ka'),
  ($$select publish.sink_of('t')$$,                           '  ka'),
  ($$select publish.sink_options('webhook')$$,                '  ka'),
  ($$select publish_register_sink('own', '{}')$$,             '  ka'),
  ($$select publish_dead_letters('t')$$,                      '  ka'),
  ($$select publish_redrive('t')$$,                           '   a'),
  ($$select publish_discard('t')$$,                           '   a'),
  ($$select publish_pause('t')$$,                             '   a'),
  ($$select publish_resume('t')$$,                            '   a'),
  ($$select publish_seek('t', 0)$$,                           '   a'),
  ($$select publish_resync('t')$$,                            '   a'),
  ($$select publish_subscriptions()$$,                        ' rka'),
  ($$select publish.report_fault('t', 'no host')$$,           '  ka'),
  ($$select publish_accept('c', 'm')$$,                       'wrka'),
  ($$select publish_unsubscribe('u')$$,                       '   a'),
  ($$select publish.define('b', null, null, 1, null, null)$$, '   a'),
  ($$select publish_capture('article', 'article')$$,          '   a'),
  ($$select publish.write_capture(
       jsonb_populate_record(null::publish.capture, '{"kind": "article"}'), 'article', 'public')$$,
                                                              '   a'),
  ($$select publish.grant_usage('public')$$,                  '   a'),
  ($$select publish.grant_lookup(0)$$,                        '   a'),
  ($$select publish.attach_capture(null)$$,                   '   a'),
  ($$select publish.captured_table(0)$$,                      '   a'),
  ($$select publish.watched_columns(0)$$,                     '   a'),
  ($$select publish.lookup_reads(0)$$,                        '   a'),
  ($$select publish.with_descendants('article')$$,            '   a'),
  ($$select publish.renew_captures()$$,                       '   a'),
  ($$select publish_uncapture('article')$$,                   '   a'),
  ($$select publish.drop_captures('article', null, null)$$,   '   a'),
  ($$select publish_undefine('article')$$,                    '   a'),
  ($$select publish.captures_of('article')$$,                 '   a'),
  ($$select publish.count_keys('publish.nothing', '{id}')$$,  '   a'),
  ($$select publish.describe_functions('article')$$,          '   a'),
  ($$select publish.views_below('article')$$,                 '   a'),
  ($$select publish.view_hint('artcle')$$,                    '   a'),
  ($$select publish.varying('article')$$,                     '   a'),
  ($$select publish.is_alone()$$,                             '   a'),
  ($$select publish.unneeded_tables('article')$$,             '   a'),
  ($$select publish.expression_type('article', '1')$$,        '   a'),
  ($$select publish.describe_relation('article')$$,           '   a'),
  ($$select publish.view_query('article')$$,                  '   a'),
  ($$select publish.view_reads('article')$$,                  '   a'),
  ($$select publish.unread_by('postgres', 'article')$$,       '   a'),
  ($$select publish.view_state('article')$$,                  '   a'),
  ($$select publish.marked_keys('article')$$,                 '   a'),
  ($$select publish.some_value('publish.kind', 'kind', false)$$,'   a'),
  ($$select publish.mutation('publish.kind', 'update')$$,          '   a'),
  ($$select publish_verify('article')$$,                      '  ka'),
  ($$select publish.differing_fields('article', '{1}')$$,     '  ka'),
  ($$select publish_kinds()$$,                                '  ka'),
  ($$select publish_audit()$$,                                '  ka'),
  ($$select publish_quarantine()$$,                           '  ka'),
  ($$select publish_retry()$$,                                '  ka'),
  ($$select publish_forget('note')$$,                         '   a'),
  ($$select publish_depth()$$,                                ' rka'),
  ($$select publish_metrics()$$,                              ' rkas'),
  ($$select publish.feed_metrics()$$,                         ' rkas'),
  ($$select publish.server_metrics()$$,                       ' rkas'),
  ($$select publish.latencies()$$,                            ' rka'),
  ($$select publish.overview()$$,                             ' rka'),
  ($$select publish.beat(gen_random_uuid(), '{"name": "n", "kind": "jobs"}', 'd')$$, '  ka'),
  ($$select publish.rights()$$,                               'wrkas'),
  ($$select publish.wrong_rights()$$,                         'wrkas'),
  ($$select publish.audit_rights()$$,                         'wrkas'),
  ($$select publish.audit_storage()$$,                        'wrkas'),
  ($$select publish.check_names()$$,                          '   a');
insert into api values
  ($$select publish_grant('publish_reader', '{*}')$$,         '   a'),
  ($$select publish_revoke('test_stranger')$$,                '   a'),
  ($$select publish_grants()$$,                               '  ka'),
  ($$select publish.define_reading('note', null, null)$$,     '   a'),
  ($$select publish_token_add(gen_random_uuid()::text, 'publish_reader')$$, '   a'),
  ($$select publish_token_remove('none')$$,                   '   a'),
  ($$select publish_tokens()$$,                               '   a'),
  ($$select pg_temp.reach('select publish_token_check(''none''::bytea)')$$,        '   as'),
  ($$select publish_serve_reader('publish_reader')$$,         '   as'),
  ($$select publish_serve_page('publish_reader')$$,           '   as'),
  ($$select publish_serve_stream('publish_reader')$$,         '   as'),
  ($$select publish_serve_get('publish_reader', null, 'note', gen_random_uuid())$$, '   as'),
  ($$select publish_serve_feed()$$,                           '   as'),
  ($$select publish_serve_overview('publish_reader')$$,       '   as'),
  ($$select publish_serve_metrics('publish_reader')$$,        '   as'),
  ($$select publish_serve_history()$$,                        '   as'),
  ($$select publish.check_metrics('publish_reader', null)$$,  '   as'),
  ($$select pg_temp.reach('select publish_serve_operate(''none''::bytea, ''pause'', ''t'')')$$, '   as');
grant trigger, select on article to publish_admin;
select pg_temp.may(r.role, strpos(a.roles, r.letter) > 0, a.call)
  from api a cross join role r;

select is_empty(
  $$select p.proname from pg_proc p
     where (p.pronamespace = 'publish'::regnamespace or p.proname like 'publish\_%')
       and exists (select from aclexplode(p.proacl) x where x.grantee not in (p.proowner, 'publish_projector'::regrole))
       and not exists (select from api a where a.call like '%' || p.proname || '(%')$$,
  'every function that is granted to anyone is in the list above');

-- The tables: admin may look, everybody of ours may see what is installed, nobody may write.
create temp table relation as
  select c.oid::regclass::text as name,
         case c.relname when 'file' then 'wrkas' when 'object' then 'wrkas' when 'job_activity' then '  ka'
                        when 'subscription_state' then ' rka'
                        when 'lane_state' then ' rka' when 'recent_batch' then ' rka'
                        when 'latency' then ' rka' when 'worker' then ' rka'
                        when 'writer' then '    ' when 'token' then '    '
                        when 'setting' then '  ka' when 'maintenance' then '  ka'
                        else '   a' end as roles
    from pg_class c
   where c.relnamespace = 'publish'::regnamespace and c.relkind in ('r', 'p', 'v')
     and c.relname not like '\_yoyo\_%' and not c.relispartition;
select pg_temp.may(r.role, strpos(t.roles, r.letter) > 0, format('table %s', t.name))
  from relation t cross join role r;
select pg_temp.may(r.role, false, format('delete from %s', t.name))
  from (values ('publish.published'), ('publish.outbox'), ('publish.kind')) as t (name)
 cross join role r;
select pg_temp.may(r.role, false, $$select nextval('publish.payload_no')$$) from role r;
select pg_temp.may(r.role, false, 'select publish.begin_epoch(0)') from role r;

-- The view's owner gives publish_owner the right to read it; nobody else can.
create role test_definer in role publish_admin;
create table secret (id int primary key);
create temp table publishing as
  select $$select pg_temp.call_as('test_definer',
                                  $q$select publish_define('s', 'secret')$q$)$$ as it;
select throws_ok($$select pg_temp.call_as('test_definer', 'create schema mine')$$, '42501', null,
                 'a member of publish_admin is no more than that');
select throws_ok(p.it, '42501', null, 'a view that the caller may not grant on is not published')
  from publishing p;
grant select on secret to test_definer;
set local client_min_messages = error; -- GRANT warns
select throws_ok(p.it, 'PT400', null, 'not even if the caller may read it') from publishing p;
alter table secret owner to test_definer;
select lives_ok(p.it, 'its owner may') from publishing p;

select * from finish();
rollback;
