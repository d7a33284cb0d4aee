-- After a crash the first drain may be killed too, by what it does, on a server where nothing else
-- writes. The WAL writer flushes whole pages only: two pages more, and the note is on disk.
create or replace function publish.attempt(kind_no int, phase int) returns void
language plpgsql
as $$
begin
  if publish.timed_out() then
    -- Users' SQL before this one caught its timeout, and no other will fire in this call.
    raise query_canceled using message = 'users'' SQL caught the statement_timeout';
  end if;
  perform setval('publish.attempt', coalesce(attempt.kind_no * 4 + attempt.phase, 0));
  if current_setting('publish.new_epoch', true) = 'on' then
    perform pg_logical_emit_message(false, 'publish', repeat(' ', 16384));
  end if;
end
$$;
comment on function publish.attempt(int, int) is
  'Notes, so that neither a rollback nor the end of the session undoes it, that users'' SQL of '
  'this kind is about to run, as the sequence publish.attempt says. Null: of a kind that is gone. '
  'Errors: 57014 when statement_timeout has passed already.';
revoke all on function publish.attempt(int, int) from public;
