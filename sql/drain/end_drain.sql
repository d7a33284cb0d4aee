create or replace function publish.end_drain(next publish.drain, began timestamptz)
returns publish.drain
language plpgsql
as $$
begin
  end_drain.next.drain_id := (end_drain.next).drain_id + 1;
  end_drain.next.at := clock_timestamp();
  end_drain.next.duration := (end_drain.next).at - end_drain.began;
  insert into publish.drain select (end_drain.next).*;
  return end_drain.next;
end
$$;
comment on function publish.end_drain(publish.drain, timestamptz) is
  'Appends the row that is the state of the next drain, and returns it.';
revoke all on function publish.end_drain(publish.drain, timestamptz) from public;
