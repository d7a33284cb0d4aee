create or replace function publish.check_start(id text, kinds text[], lease interval)
returns void
language plpgsql
immutable
as $$
begin
  if (check_start.id is null) = (check_start.kinds is null) or cardinality(check_start.kinds) = 0
  then
    raise exception 'pass either id or kinds' using
      errcode = 'PT400',
      detail = format('id %L, kinds %s', left(check_start.id, 60),
                      coalesce(check_start.kinds::text, 'null')),
      hint = 'As in publish_job_start(kinds => ''{invoice}'', worker => ''w1'').';
  end if;
  if (check_start.lease between interval '1 millisecond' and interval '1 year') is not true then
    raise exception 'lease must be above 0 and at most a year' using
      errcode = 'PT400',
      detail = format('lease %s', coalesce(check_start.lease::text, 'null')),
      hint = 'Leave it out for a minute, and extend it with publish_job_beat.';
  end if;
  if check_start.id is not null then
    perform publish.check_job_id(check_start.id);
  end if;
end
$$;
comment on function publish.check_start(text, text[], interval) is
  'Errors: PT400 neither or both of id and kinds, a bad id, a lease that is none.';
revoke all on function publish.check_start(text, text[], interval) from public;
