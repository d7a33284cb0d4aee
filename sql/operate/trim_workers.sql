create or replace function publish.trim_workers(batch int) returns void
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  delete from publish.worker_beat b
   where b.ctid = any (array(
     select o.ctid
       from publish.worker_beat o
      where o.at < v_now - interval '1 minute'
        and (o.at < v_now - interval '1 day'
             or exists (select
                          from publish.worker_beat n
                         where n.worker_id = o.worker_id and n.beat_no > o.beat_no))
      order by o.at
      limit trim_workers.batch
        for update skip locked));
  delete from publish.worker_start s
   where s.since < v_now - interval '1 day'
     and not exists (select from publish.worker_beat b where b.worker_id = s.worker_id);
end
$$;
comment on function publish.trim_workers(int) is
  'Forgets all but the newest beat of each worker, and workers not heard of for a day.';
revoke all on function publish.trim_workers(int) from public;
