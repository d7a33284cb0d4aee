create or replace function publish.check_room(kind publish.kind) returns void
language plpgsql
as $$
begin
  if publish.is_over(check_room.kind) then
    raise exception 'too many marks of this kind wait to be drained' using
      errcode = 'PT429',
      detail = format('kind %L, depth_limit %s', (check_room.kind).kind,
                      (check_room.kind).settings ->> 'depth_limit'),
      hint = 'Try again later; see publish_backlog() and whether somebody drains.';
  end if;
end
$$;
comment on function publish.check_room(publish.kind) is
  'Errors: PT429 if the kind is over its setting depth_limit.';
revoke all on function publish.check_room(publish.kind) from public;
