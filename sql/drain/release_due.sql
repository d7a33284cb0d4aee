-- Called under the drain's lock; both moves are part of the drain's transaction.
create or replace function publish.release_due(batch int) returns boolean
language plpgsql
as $$
declare
  v_delayed int := 0;
  v_retried int := 0;
begin
  if exists (select from publish.delayed d where d.available_at <= clock_timestamp()) then
    with due as (
      delete from publish.delayed d
       where (d.available_at, d.seq) in (
         select l.available_at, l.seq
           from publish.delayed l
          where l.available_at <= clock_timestamp()
          order by l.available_at, l.seq
          limit release_due.batch)
      returning d.*
    )
    insert into publish.outbox
      (kind, source_id, via, payload, deleted, headers, enqueued_at)
    select d.kind, d.source_id, d.via, d.payload, d.deleted, d.headers,
           coalesce(d.enqueued_at, d.available_at)
      from due d
     order by d.available_at, d.seq;
    get diagnostics v_delayed = row_count;
  end if;
  if exists (select from publish.quarantine q where q.next_attempt_at <= clock_timestamp()) then
    -- The row stays until the key goes through; it is looked at again no sooner than this.
    with due as (
      update publish.quarantine q
         set next_attempt_at = clock_timestamp() + publish.backoff(q.attempts)
       where (q.kind, q.source_id) in (
         select l.kind, l.source_id
           from publish.quarantine l
          where l.next_attempt_at <= clock_timestamp()
          order by l.next_attempt_at
          limit release_due.batch
            for update skip locked) -- an open publish_retry holds nothing up
      returning q.*
    ),
    again as (
      -- Its seq decides which payload of a key is the last. Keys of a projected kind may share one.
      insert into publish.outbox (seq, kind, source_id, payload, deleted, headers)
      select case when k.view is null then d.seq else nextval('publish.outbox_seq') end,
             d.kind, d.source_id, d.payload, d.deleted, d.headers
        from due d
        left join publish.kind k on k.kind = d.kind
       order by d.seq
          on conflict do nothing -- this transaction enqueued it, or tried it before
    )
    select count(*) into v_retried from due d;
  end if;
  return v_delayed + v_retried > 0;
end
$$;
comment on function publish.release_due(int) is
  'Moves due delayed enqueues, and due retries from the quarantine, into the outbox: at most '
  'batch of each. Retries of a payload keep their seq. True when anything was moved.';
revoke all on function publish.release_due(int) from public;
