create or replace function publish.trim_drains(batch int) returns int
language plpgsql
as $$
declare
  v_rows bigint := publish.setting_of('drain_log_rows')::bigint;
  v_before timestamptz :=
    clock_timestamp() - publish.setting_of('drain_log_retention')::interval;
  v_trimmed int;
begin
  delete from publish.drain d
   where d.drain_id = any (array(
     select l.drain_id
       from (select l.drain_id, l.at
               from publish.drain l
              where l.drain_id <= (select max(m.drain_id) - v_rows from publish.drain m)
              order by l.drain_id
              limit trim_drains.batch) l
      where l.at < v_before));
  get diagnostics v_trimmed = row_count;
  delete from publish.drain_sample s where s.at < clock_timestamp() - s.keep;
  return v_trimmed;
end
$$;
comment on function publish.trim_drains(int) is
  'Trims the log of drains to the settings drain_log_rows and drain_log_retention, at most batch, '
  'and its samples to a day; returns how many drains went. Called under the drain''s lock.';
revoke all on function publish.trim_drains(int) from public;
