create or replace function publish.delivered_metrics(subscription_id int)
returns setof publish.metric
language plpgsql
stable
as $$
declare
  v_labels jsonb := (select jsonb_build_object('subscription', s.name)
                       from publish.subscription s
                      where s.subscription_id = delivered_metrics.subscription_id);
  v_sum record;
begin
  select sum(d.sent) as sent, sum(d.failed) as failed, sum(d.dead) as dead,
         array_agg(d.waits) as waits
    into v_sum
    from publish.delivered_lanes(delivered_metrics.subscription_id) l
    join publish.delivered d on d.subscription_id = delivered_metrics.subscription_id
                                and d.lane = l.lane and d.token = l.token;
  return query
    select 'pgpublish_subscription_' || m.name, 'counter', v_labels, m.value, m.help
      from (values
        ('delivered_total', coalesce(v_sum.sent, 0)::float8, 'Changes delivered.'),
        ('failures_total', coalesce(v_sum.failed, 0), 'Changes that a batch did not deliver.'),
        ('given_up_total', coalesce(v_sum.dead, 0), 'Changes given up.')) m (name, value, help);
  return query
    select h.*
      from publish.histogram_metrics(
        name => 'pgpublish_delivery_latency_seconds', labels => v_labels,
        ages => publish.sum_of_ages(v_sum.waits),
        help => 'Of each delivered change: from the drain that published it to the answer of the '
                'endpoint.') h
     where v_sum.waits is not null;
end
$$;
comment on function publish.delivered_metrics(int) is
  'Counters of a subscription, over the newest rows of publish.delivered of its lanes.';
revoke all on function publish.delivered_metrics(int) from public;
