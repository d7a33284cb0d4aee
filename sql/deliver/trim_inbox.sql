create or replace function publish.trim_inbox(batch int) returns int
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_forgotten int;
  v_all int := 0;
begin
  for v_pass in 1 .. 100 loop  -- consumers accept as fast as they like
    delete from publish.accepted a
     where a.ctid = any (array(
       select x.ctid
         from publish.accepted x
        where x.expires_at <= v_now
        order by x.expires_at
        limit trim_inbox.batch
          for update skip locked));
    get diagnostics v_forgotten = row_count;
    v_all := v_all + v_forgotten;
    exit when v_forgotten < trim_inbox.batch;
  end loop;
  return v_all;
end
$$;
comment on function publish.trim_inbox(int) is
  'Forgets accepted messages whose time is over, at most batch a hundred times; returns how many.';
revoke all on function publish.trim_inbox(int) from public;
