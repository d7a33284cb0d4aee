-- A worker that freezes in such a transaction would hold the row for ever, and nobody could take
-- the job over.
create or replace function publish.limit_idle(lease interval) returns void
language plpgsql
as $$
declare
  v_idle text := current_setting('idle_in_transaction_session_timeout');
begin
  if v_idle = '0' or v_idle::interval > limit_idle.lease then
    perform set_config('idle_in_transaction_session_timeout',
                       least(ceil(date_part('epoch', limit_idle.lease) * 1000),
                             2147483647)::bigint::text, true);
  end if;
end
$$;
comment on function publish.limit_idle(interval) is
  'From now on the server ends this session if it is idle in this transaction, which holds the row '
  'of a job, for longer than the job''s lease.';
revoke all on function publish.limit_idle(interval) from public;
