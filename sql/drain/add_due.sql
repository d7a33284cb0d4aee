create or replace function publish.add_due(batch publish.drain_batch, due publish.drain_batch)
returns publish.drain_batch
language plpgsql
immutable
as $$
begin
  if (add_due.due).first = 0 then
    return add_due.batch;
  end if;
  add_due.batch.marks := (add_due.due).marks || (add_due.batch).marks;
  add_due.batch.first := (add_due.due).first;
  add_due.batch.due := (add_due.due).due;
  add_due.batch.phase := (add_due.due).phase;
  add_due.batch.is_full := (add_due.batch).is_full or (add_due.due).is_full;
  add_due.batch.looks_up := (add_due.batch).looks_up or (add_due.due).looks_up;
  add_due.batch.oldest := least((add_due.batch).oldest, (add_due.due).oldest);
  return add_due.batch;
end
$$;
comment on function publish.add_due(publish.drain_batch, publish.drain_batch) is
  'A batch of the outbox with due marks before it.';
revoke all on function publish.add_due(publish.drain_batch, publish.drain_batch) from public;
