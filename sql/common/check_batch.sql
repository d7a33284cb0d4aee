create or replace function publish.check_batch(batch int) returns void
language plpgsql
immutable
as $$
begin
  if coalesce(check_batch.batch, 0) < 1 then
    raise exception 'batch must be 1 or more' using
      errcode = 'PT400',
      detail = format('batch %s', coalesce(check_batch.batch::text, 'null')),
      hint = 'Pass how many to take at most, such as 500.';
  end if;
end
$$;
comment on function publish.check_batch(int) is 'Raises PT400 for a batch below 1.';
revoke all on function publish.check_batch(int) from public;
