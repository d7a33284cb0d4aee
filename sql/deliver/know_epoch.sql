-- The drain does it too. Here it covers a database in which only deliveries run.
create or replace function publish.know_epoch() returns boolean
language plpgsql
as $$
begin
  if publish.is_elsewhere() then
    if not publish.try_writer_lock() then
      return false;
    end if;
    perform publish.begin_epoch(public.publish_head());
  end if;
  return true;
end
$$;
comment on function publish.know_epoch() is
  'Begins an epoch if this database was promoted, moved or copied since the newest one began. '
  'False: that is due, and another session is the writer of the feed now.';
revoke all on function publish.know_epoch() from public;
