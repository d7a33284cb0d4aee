-- With the lane's lock, taken before its newest row is read, nobody else claims meanwhile. Without,
-- nothing is waited for, and somebody may just be claiming.
create or replace function publish.held_batch(token bigint, locked boolean) returns publish.batch
language plpgsql
as $$
declare
  v_asked publish.batch;
  v_newest publish.batch;
begin
  select b.* into v_asked from publish.batch b where b.token = held_batch.token;
  if held_batch.locked then
    perform from publish.lane l
      where l.subscription_id = v_asked.subscription_id and l.lane = v_asked.lane
        for no key update;
  end if;
  select b.* into v_newest
    from publish.lane l
   cross join lateral (
     select b.*
       from publish.batch b
      where b.subscription_id = l.subscription_id and b.lane = l.lane
      order by b.token desc
      limit 1
   ) b
   where l.subscription_id = v_asked.subscription_id and l.lane = v_asked.lane;
  if v_newest.token is distinct from held_batch.token or held_batch.token is null then
    raise exception 'this batch is no longer yours' using
      errcode = 'PT409',
      detail = format('token %s, the lane''s newest is %s',
                      coalesce(held_batch.token::text, 'null'),
                      coalesce(v_newest.token::text, 'gone')),
      hint = 'Change nothing and claim again: what was in it is delivered by its new holder.';
  end if;
  return v_newest;
end
$$;
comment on function publish.held_batch(bigint, boolean) is
  'The batch of this token, its lane locked or not. A lease that ran out still counts while nobody '
  'else has claimed. Errors: PT409 somebody has, or the subscription was moved or removed.';
revoke all on function publish.held_batch(bigint, boolean) from public;
