create or replace function publish.is_cut(batch publish.drain_batch) returns boolean
language sql
immutable
as $$
  select (is_cut.batch).is_full and (is_cut.batch).partial_xid is not null
         and (is_cut.batch).first = cardinality((is_cut.batch).marks)
$$;
comment on function publish.is_cut(publish.drain_batch) is
  'Whether marks of the outbox end inside their first transaction.';
revoke all on function publish.is_cut(publish.drain_batch) from public;
