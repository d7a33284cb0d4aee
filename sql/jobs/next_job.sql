-- Called by publish_job_start alone, which pins the other settings of planning.
-- A job that another session is just starting is passed over; only if that leaves nothing in the
-- first due level of every kind, the levels below are looked at too.
create or replace function publish.next_job(kinds text[]) returns text
language plpgsql
set enable_sort = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_all boolean;
  v_any boolean;
  v_id text;
begin
  foreach v_all in array '{false,true}'::boolean[] loop
    with due as materialized (
      select l.kind, l.priority
        from publish.job_levels(kinds => next_job.kinds,
                                until => case when v_all then '-infinity' else v_now end) l
       where l.due_at <= v_now
       order by l.priority desc, l.due_at
    )
    select exists (select from due),
           (select w.id
              from due d
             cross join lateral (
               select j.id
                 from publish.job j
                where j.kind = d.kind and j.priority = d.priority and j.due_at <= v_now
                  and j.status in ('pending', 'failed')
                order by j.kind, j.priority desc, j.due_at
                limit 1
                  for no key update skip locked) w
             limit 1)
      into v_any, v_id;
    exit when v_id is not null or not v_any;
  end loop;
  return v_id;
end
$$;
comment on function publish.next_job(text[]) is
  'The job of these kinds to start next, its row locked to the end of the transaction: of those '
  'that are due the highest priority, then the longest due. Null: none.';
revoke all on function publish.next_job(text[]) from public;
