-- While others wait, a walk adds a tenth of a batch; none where half of the time is spent. A
-- timeout in it takes nothing back that the drain did before.
create or replace function publish.walk_beside(batch int, is_full boolean, began timestamptz)
returns void
language plpgsql
as $$
begin
  if exists (select from publish.walk)
     and clock_timestamp() - walk_beside.began
         < coalesce(nullif(current_setting('statement_timeout')::interval, '0') / 2, '1 day') then
    perform publish.walk_page(
      case when walk_beside.is_full then greatest(walk_beside.batch / 10, 1)
           else walk_beside.batch end, walk_beside.began);
  end if;
exception when query_canceled then
  if not publish.timed_out() then
    raise;
  end if;
end
$$;
comment on function publish.walk_beside(int, boolean, timestamptz) is
  'A page of a walk in a drain that has published marks. is_full: more of them wait.';
revoke all on function publish.walk_beside(int, boolean, timestamptz) from public;
