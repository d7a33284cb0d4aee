create or replace function publish.count_delivered(
  batch publish.batch,
  subscription publish.subscription,
  failures publish.failure[]
) returns void
language plpgsql
as $$
declare
  v_batch publish.batch := count_delivered.batch;
  v_from timestamptz := greatest((count_delivered.subscription).created_at,
                                 (count_delivered.subscription).reset_at,
                                 (count_delivered.subscription).sought_at);
  v_now timestamptz := clock_timestamp();
  v_last publish.delivered;
  v_waits publish.ages;
  v_age float8;
  v_since timestamptz[];
begin
  select d.* into v_last
    from publish.delivered d
   where d.subscription_id = v_batch.subscription_id and d.lane = v_batch.lane
   order by d.token desc
   limit 1;
  v_waits := coalesce(v_last.waits, publish.no_ages());
  if cardinality(v_batch.moments) = 1 and cardinality(count_delivered.failures) = 0 then
    v_age := greatest(0, date_part('epoch', v_now - greatest(v_batch.moments[1].at, v_from)));
    v_waits.counts := publish.add_age(counts => v_waits.counts, age => v_age,
                                      many => v_batch.moments[1].changes);
    v_waits.seconds := v_waits.seconds + v_age * v_batch.moments[1].changes;
  else
    select array_agg(greatest(m.at, v_from)) into v_since
      from (select m.*, lead(m.rev) over (order by m.n) as next_rev
              from unnest(v_batch.moments) with ordinality as m (rev, at, changes, n)) m
     cross join lateral generate_series(1, m.changes - (
             select count(*)
               from unnest(count_delivered.failures) f
              where f.rev >= m.rev and (f.rev < m.next_rev or m.next_rev is null)));
    v_waits := publish.add_ages(ages => v_waits, since => v_since, now => v_now);
  end if;
  insert into publish.delivered
    (subscription_id, lane, token, sent, failed, dead, waits, keep, at)
  values (v_batch.subscription_id, v_batch.lane, v_batch.token,
          coalesce(v_last.sent, 0) + v_batch.sent, coalesce(v_last.failed, 0) + v_batch.failed,
          coalesce(v_last.dead, 0) + v_batch.dead,
          v_waits, publish.sample_keep(v_last.at, v_now), v_now);
end
$$;
comment on function publish.count_delivered(
  publish.batch, publish.subscription, publish.failure[]) is
  'Appends the row of publish.delivered of a batch that is being settled.';
revoke all on function publish.count_delivered(
  publish.batch, publish.subscription, publish.failure[]) from public;
