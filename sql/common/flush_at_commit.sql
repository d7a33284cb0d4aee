create or replace function publish.flush_at_commit() returns void
language plpgsql
as $$
begin
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
end
$$;
comment on function publish.flush_at_commit() is
  'Has this transaction flush its WAL, and with it the drains that it has read: a crash of the '
  'server loses nothing that is sent after its commit.';
revoke all on function publish.flush_at_commit() from public;
