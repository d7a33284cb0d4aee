create or replace function publish.newest_break() returns int
language plpgsql
stable
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  return coalesce((
    select e.epoch_no
      from publish.epoch e
     where e.cause in ('promotion', 'moved', 'copied')
     order by e.epoch_no desc
     limit 1), 0);
end
$$;
comment on function publish.newest_break() is
  'Number of the newest epoch that began with a promotion or in a moved or copied database; 0: '
  'there was none.';
revoke all on function publish.newest_break() from public;
