-- The block's subtransaction commits, so that the lock stays to the end of the transaction. An
-- advisory lock could be taken, and the feed so be held up, by any session. A mode that conflicts
-- with ROW SHARE could too, by who may name the table: PREPARE of a select for update takes that
-- lock and asks for no right.
create or replace function publish.try_writer_lock() returns boolean
language plpgsql
as $$
begin
  lock table publish.writer in share update exclusive mode nowait;
  return true;
exception when lock_not_available then
  return false;
end
$$;
comment on function publish.try_writer_lock() is
  'Makes this transaction the single writer of the feed, to its end. False: another one is. Take '
  'it before any snapshot that matters.';
revoke all on function publish.try_writer_lock() from public;
