create or replace function publish.backlog_metrics() returns setof publish.metric
language sql
stable
as $$
  select row('pgpublish_depth', 'gauge', '{}', public.publish_depth(),
             'Marks that a drain would find now; see publish_depth().')::publish.metric
  union all
  select row('pgpublish_' || m.name, 'gauge', jsonb_build_object('kind', k.kind), m.value, m.help)
             ::publish.metric
    from publish.kind_depth() k
   cross join lateral (values
     ('kind_depth', k.marks::float8, 'Marks of the kind that wait, also while it is switched off.'),
     ('kind_oldest_mark_age_seconds',
      date_part('epoch', greatest(clock_timestamp() - k.oldest_at, interval '0')),
      'Age of the oldest of them.')) m (name, value, help)
  union all
  select row('pgpublish_deferred', 'gauge', jsonb_build_object('reason', r.reason),
             count(d.reason), 'Marks that are not for the next drain, counted up to 100000.')
             ::publish.metric
    from unnest('{scheduled,locked,failed,off}'::text[]) as r (reason)
    left join (select d.reason from publish.deferred d limit 100000) d on d.reason = r.reason
   group by r.reason
  union all
  select row('pgpublish_' || m.name, 'gauge', jsonb_build_object('kind', w.of_kind), m.value,
             m.help)::publish.metric
    from public.publish_walks(null) w
   cross join lateral (values
     ('walk_marked_keys', w.marked::float8, 'Keys that the walk of the kind has marked so far.'),
     ('walk_estimated_keys', w.estimate, 'Keys that it will mark, about.'),
     ('walk_failures', w.attempts, 'How often in a row its page failed.')) m (name, value, help)
   where w.ended_at is null and m.value is not null
  union all
  select row('pgpublish_floor', 'gauge', jsonb_build_object('kind', f.kind), max(f.floor),
             'Highest rev of the kind that was pruned.')::publish.metric
    from publish.floor f
   where not f.departed
   group by f.kind
  union all
  select row('pgpublish_outbox_bytes', 'gauge', jsonb_build_object('slot', s.slot::text),
             pg_total_relation_size(format('publish.outbox_%s', s.slot)::regclass),
             'Size of a slot of the outbox with its index.')::publish.metric
    from generate_series(0, 2) as s (slot)
  union all
  select row('pgpublish_feed_bytes', 'gauge', '{}',
             pg_total_relation_size('publish.published'), 'Size of the feed with its indexes.')
             ::publish.metric
  union all
  (select row('pgpublish_epoch_info', 'gauge',
              jsonb_build_object('epoch', e.epoch, 'number', e.epoch_no::text, 'cause', e.cause), 1,
              'The life of the feed, and what began it.')::publish.metric
     from publish.epoch e
    order by e.epoch_no desc
    limit 1)
$$;
comment on function publish.backlog_metrics() is
  'Metrics of what waits to be drained, of walks, floors, sizes and the epoch.';
revoke all on function publish.backlog_metrics() from public;
