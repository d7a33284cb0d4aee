-- The log of batches is trimmed; the newest row of a lane stays.
begin;
select plan(7);

do $$
begin
  perform publish_define('note');
  perform publish_subscribe('busy', 'stdout');
  perform publish_subscribe('idle', 'stdout', lanes => 2);
end
$$;
insert into publish.batch
  (subscription_id, lane, worker, cursor, cursor_to, retried_to, retry_to, settled_at)
select s.subscription_id, 0, 'w', n, n + 1, 'epoch', 'epoch', clock_timestamp()
  from publish.subscription s, generate_series(0, 10009) n
 where s.name = 'busy';
select is(publish.trim_delivery(100000), 0, 'ten minutes stay');
update publish.batch set claimed_at = clock_timestamp() - interval '11 min';
select is(publish.trim_delivery(4), 4, 'older rows go, at most batch');
select is(publish.trim_delivery(100000), 7, 'to 10,000');
select results_eq(
  $$select l.subscription, l.lane, l.cursor from publish.lane_state l order by 1, 2$$,
  $$values ('busy', 0, 10010::bigint), ('idle', 0, 0), ('idle', 1, 0)$$,
  'the state of each lane stays');
select is((select count(*) from publish.batch), 10002::bigint, 'however old');

insert into publish.accepted (role, consumer, message_id, expires_at)
select 'r', 'c', n::text, clock_timestamp() + case when n > 1000 then interval '1 h' else '-1 s' end
  from generate_series(1, 1001) n;
select is(publish.trim_inbox(100), 1000, 'accepted messages whose time is over are forgotten');
select is((select string_agg(a.message_id, ',') from publish.accepted a), '1001',
          'all of them, however many, and no other');

select * from finish();
rollback;
