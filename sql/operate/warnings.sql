create or replace function publish.warnings()
returns table (about text, message text, hint text)
language sql
stable
as $$
  with subscription as materialized (select s.* from public.publish_subscriptions() s),
  worker as materialized (select w.kind, w.is_alive from publish.worker w),
  waits as materialized (select k.* from publish.kind_states() k)
  select coalesce('kind ' || o.kind, 'drain'), 'publishing is switched off',
         'Ask who did it, then: pgpublish set publishing on' || coalesce(' --kind ' || o.kind, '')
    from public.publish_settings() o
   where o.name = 'publishing' and o.value = 'off'
  union all
  select 'drain', format('nobody drains, and %s marks wait', public.publish_depth())
                  || coalesce('; ' || l.who || ' keeps others from draining', ''),
         coalesce(l.fix, 'Start pgpublish drain, or have pg_cron call publish_drain.')
    from (select) _
    left join publish.lockers() l on l.relation = 'publish.writer'::regclass
   where not exists (select from worker w where w.kind = 'drain' and w.is_alive)
     and public.publish_depth() > 0 and not publish.is_off()
  union all
  select 'deliver', 'nobody delivers, and ' || string_agg(s.name, ', ' order by s.name)
                    || ' has changes to send', 'Start pgpublish deliver.'
    from subscription s
   where s.waits_for = 'a worker'
     and not exists (select from worker w where w.kind = 'deliver' and w.is_alive)
  having count(*) > 0
  union all
  select 'jobs', format('jobs of kind %s are due, and nobody runs jobs', j.kind),
         format('Start pgpublish work %s.', j.kind)
    from publish.job_metrics() m
   cross join lateral (select m.labels ->> 'kind' as kind) j
   where m.name = 'pgpublish_job_oldest_due_age_seconds' and m.value > 60
     and not exists (select from worker w where w.kind = 'jobs' and w.is_alive)
  union all
  select 'kind ' || k.kind, format('its oldest mark has waited for %s s', round(k.oldest_s)),
         'See pgpublish top whether drains are busy; publish.drain has each.'
    from waits k
   where k.oldest_s > 60
  union all
  select 'kind ' || k.kind, format('%s of its keys cannot be published', k.failed),
         'See pgpublish quarantine list.'
    from waits k
   where k.failed > 0
  union all
  select 'kind ' || k.kind, 'a page of its walk fails: ' || k.walk_message,
         'Mend the view; the page is tried again.'
    from waits k
   where k.walk_message is not null
  union all
  select 'subscription ' || s.name,
         case when s.fault is not null then 'no worker can send: ' || s.fault
              when s.state = 'endpoint failing'
                then 'its endpoint fails: ' || coalesce(s.last_error, 'no answer')
              else concat_ws(': ', 'it is ' || s.state, s.reason) end,
         case when s.fault is not null then 'Mend what the message names.'
              when s.state = 'endpoint failing' then 'It is tried again by itself.'
              when s.state = 'reset needed' then format('publish_resync(%L)', s.name)
              else format('publish_resume(%L)', s.name) end
    from subscription s
   where s.fault is not null or s.state in ('endpoint failing', 'reset needed', 'disabled')
      or s.state = 'paused' and s.paused_reason is not null
  union all
  select 'subscription ' || s.name, format('%s changes were given up', s.dead),
         format('See pgpublish dead list %s.', s.name)
    from subscription s
   where s.dead > 0
  union all
  select 'jobs', format('%s running jobs lost their worker', m.value),
         'A worker of their kind takes them over.'
    from publish.job_metrics() m
   where m.name = 'pgpublish_jobs_lost' and m.value > 0
$$;
comment on function publish.warnings() is
  'What somebody should look at, about what, and what to do. No rows: all is well.';
revoke all on function publish.warnings() from public;
