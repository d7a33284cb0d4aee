create or replace function publish.drain_metrics() returns setof publish.metric
language sql
stable
as $$
  with state as materialized (
    select d.* from publish.drain d order by d.drain_id desc limit 1
  )
  select row('pgpublish_' || m.name, m.type, '{}', m.value, m.help)::publish.metric
    from state s
   cross join lateral (values
     ('head', 'gauge', s.head::float8, 'Highest rev.'),
     ('changes_published_total', 'counter', s.head, 'Changes that got a rev.'),
     ('drains_total', 'counter', s.drain_id, 'Drains that did something.'),
     ('marks_drained_total', 'counter', s.scanned_total, 'Marks that drains took.'),
     ('keys_unchanged_total', 'counter', s.unchanged_total,
      'Keys that were marked and found as they are published: suppressed.'),
     ('keys_failed_total', 'counter', s.quarantined_total, 'Keys that a drain set aside.'),
     ('drain_seconds_total', 'counter', extract(epoch from s.duration_total),
      'Time that drains took.'),
     ('last_drain_duration_seconds', 'gauge', extract(epoch from s.duration),
      'Time that the last drain took.'),
     ('last_drain_timestamp_seconds', 'gauge', extract(epoch from s.at),
      'When the last drain that did something ended.')) m (name, type, value, help)
  union all
  select h
    from state s
   cross join lateral publish.histogram_metrics(
     name => 'pgpublish_publish_latency_seconds', labels => '{}', ages => s.waits,
     help => 'Of each published change: from its commit (track_commit_timestamp) or from the write '
             'of its mark, to the end of its drain.') h
$$;
comment on function publish.drain_metrics() is 'Metrics of the newest row of publish.drain.';
revoke all on function publish.drain_metrics() from public;
