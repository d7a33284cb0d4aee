-- With the lane's lock, taken before this call, nobody else claims. Without, nothing is
-- waited for, and somebody may just be claiming.
create or replace function publish.held_batch(token bigint) returns publish.batch
language plpgsql
as $$
declare
  v_batch publish.batch;
  v_newest bigint;
begin
  perform publish.check_read_committed('settling or extending a batch', 'the lane''s lock');
  select b.* into v_batch from publish.batch b where b.token = held_batch.token;
  select l.token into v_newest
    from publish.lane_now l
   where l.subscription_id = v_batch.subscription_id and l.lane = v_batch.lane;
  if v_newest is distinct from held_batch.token or held_batch.token is null then
    raise exception 'this batch is no longer yours' using
      errcode = 'PT409',
      detail = format('token %s, the lane''s newest is %s',
                      coalesce(held_batch.token::text, 'null'), coalesce(v_newest::text, 'gone')),
      hint = 'Change nothing and claim again: what was in it is delivered by its new holder.';
  end if;
  return v_batch;
end
$$;
comment on function publish.held_batch(bigint) is
  'The batch of this token. A lease that ran out still counts while nobody else has claimed. '
  'Errors: PT409 somebody has, or the subscription was moved or removed.';
revoke all on function publish.held_batch(bigint) from public;
