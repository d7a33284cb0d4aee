create or replace function publish.check_page(
  since bigint,
  batch int,
  base bigint
) returns void
language plpgsql
stable
as $$
begin
  if coalesce(check_page.since, -1) < 0 or check_page.base < 0 then
    raise exception 'a rev is 0 or more' using
      errcode = 'PT400',
      detail = format('since %s, base %s', coalesce(check_page.since::text, 'null'),
                      coalesce(check_page.base::text, 'null')),
      hint = 'Begin at 0 and go on from the last rev you read.';
  end if;
  perform publish.check_batch(check_page.batch);
end
$$;
comment on function publish.check_page(bigint, int, bigint) is
  'Raises PT400 for a negative rev or a batch below 1.';
revoke all on function publish.check_page(bigint, int, bigint) from public;
