-- What has finished since the oldest snapshot stays in job_due_idx, before what waits, and a look
-- from the beginning of the index reads all of that. So its result is kept for a second, in a
-- setting of the session. Anybody may change that: it only says where to begin.
create or replace function publish.job_place(kind text, again boolean) returns bigint[]
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_now bigint := publish.microseconds(clock_timestamp());
  v_kept text := current_setting('publish.job_place', true);
  v_place bigint[];
begin
  if not job_place.again and v_kept ~ '^[0-9]{1,16},[0-9]{1,3},-?[0-9]{1,17},' then
    v_place := (string_to_array(v_kept, ','))[1:3];
    if v_now - v_place[1] between 0 and 1000000
       and v_kept = array_to_string(v_place, ',') || ',' || job_place.kind then
      return v_place;
    end if;
  end if;
  select array[v_now, j.priority, publish.microseconds(j.due_at)]
    into v_place
    from publish.job j
   where j.kind = job_place.kind and j.status in ('pending', 'failed')
   order by j.kind, j.priority desc, j.due_at
   limit 1;
  perform set_config('publish.job_place',
                     coalesce(array_to_string(v_place, ',') || ',' || job_place.kind, ''), false);
  return v_place;
end
$$;
comment on function publish.job_place(text, boolean) is
  'Where a start of a job of this kind begins to look, at most a second old (again: as it is now): '
  'when it was found, the highest priority that waits, and when its longest due job is due; times '
  'in microseconds since 1970. Null: none waits.';
revoke all on function publish.job_place(text, boolean) from public;
