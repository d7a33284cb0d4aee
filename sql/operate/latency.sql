create or replace view publish.latency as
  select l.step, l.subscription, l.span, l.since, l.changes, l.per_second, l.p50, l.p95, l.p99
    from publish.latencies() l;
comment on view publish.latency is
  'How long changes waited: published, from their commit to the end of their drain, and delivered, '
  'from then to the answer of a subscription''s endpoint; over a minute, a quarter of an hour and '
  'a day. See publish.drain.waits for what commit means.';
comment on column publish.latency.step is 'published or delivered.';
comment on column publish.latency.subscription is 'Whose deliveries; null: published.';
comment on column publish.latency.span is '1 min, 15 min or 1 day.';
comment on column publish.latency.since is 'When what is counted begins, to ten seconds; of a day '
  'to five minutes.';
comment on column publish.latency.changes is 'How many there were.';
comment on column publish.latency.per_second is 'changes each second since then.';
comment on column publish.latency.p50 is 'Half of them waited at most so many seconds.';
comment on column publish.latency.p95 is '95 of 100 waited at most so many seconds.';
comment on column publish.latency.p99 is '99 of 100 waited at most so many seconds.';
revoke all on publish.latency from public;
grant select on publish.latency to publish_reader, publish_worker, publish_admin;
