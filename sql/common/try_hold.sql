-- A snapshot taken before waiting for a lock sees as empty a table that TRUNCATE or a rewriting
-- ALTER TABLE replaced in between. So the locks are taken first, and the snapshot after them. On
-- failure the rollback of this block releases those it got: the caller never waits holding some.
create or replace function publish.try_hold(relation text, wait_ms int) returns boolean
language plpgsql
set lock_timeout = '100ms'
as $$
begin
  perform set_config('lock_timeout', greatest(try_hold.wait_ms, 1) || 'ms', true);
  perform publish_gate.gate_hold(try_hold.relation);
  return true;
exception
  when lock_not_available then
    return false;
  when others then
    if publish.is_transient(sqlstate) then
      raise;
    end if;
    return true; -- who reads it says what is wrong
end
$$;
comment on function publish.try_hold(text, int) is
  'Sees to it that neither this table nor one that this view reads is replaced before the '
  'transaction ends: snapshots taken from now on see all its rows. False: one is being replaced, '
  'and it was not over after wait_ms milliseconds; then nothing is held.';
revoke all on function publish.try_hold(text, int) from public;
