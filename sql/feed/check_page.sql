create or replace function publish.check_page(
  since bigint,
  batch int,
  base bigint,
  kinds text[]
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
  if check_page.kinds is not null then
    perform publish.check_kind(k.kind) from unnest(check_page.kinds) as k (kind);
  end if;
end
$$;
comment on function publish.check_page(bigint, int, bigint, text[]) is
  'Raises PT400 for a negative rev or a batch below 1, PT404 for a kind that is not defined.';
revoke all on function publish.check_page(bigint, int, bigint, text[]) from public;
