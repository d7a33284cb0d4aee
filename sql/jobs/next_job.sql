-- Locks the row it returns to the end of the transaction and waits for nobody. Each look is a range
-- of one kind, one priority and what is due, so that neither jobs of later nor finished ones cost
-- anything. Plans are pinned to indexes: the table may be empty when a session plans.
create or replace function publish.next_job(kinds text[]) returns publish.job
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_priority int := 101;
  v_kinds text[] := next_job.kinds;
  v_kind text;
  v_job publish.job;
begin
  loop
    select max(p.priority) into v_priority
      from unnest(next_job.kinds) as k (kind)
     cross join lateral (
       select j.priority
         from publish.job j
        where j.kind = k.kind and j.priority < v_priority and j.status in ('pending', 'failed')
        order by j.priority desc
        limit 1
     ) p;
    exit when v_priority is null;
    if cardinality(next_job.kinds) > 1 then
      v_kinds := array(
        select k.kind
          from unnest(next_job.kinds) as k (kind)
         cross join lateral (
           select j.due_at
             from publish.job j
            where j.kind = k.kind and j.priority = v_priority and j.due_at <= v_now
              and j.status in ('pending', 'failed')
            order by j.due_at
            limit 1
         ) d
         order by d.due_at);
    end if;
    foreach v_kind in array v_kinds loop
      select j.* into v_job
        from publish.job j
       where j.kind = v_kind and j.priority = v_priority and j.due_at <= v_now
         and j.status in ('pending', 'failed')
       order by j.due_at
       limit 1
         for no key update skip locked;
      if found then
        return v_job;
      end if;
    end loop;
  end loop;
  return null;
end
$$;
comment on function publish.next_job(text[]) is
  'Locks and returns the next job of these kinds that is due: the highest priority first, then the '
  'longest due. Null if there is none that another session is not just starting.';
revoke all on function publish.next_job(text[]) from public;
