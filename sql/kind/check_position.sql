create or replace function publish.check_position(kind text, after text) returns void
language plpgsql
stable
as $$
begin
  if not publish.is_key(check_position.kind, check_position.after) then
    raise exception 'after is not a key of this kind' using
      errcode = 'PT400',
      detail = format('kind %L, after %L', check_position.kind, left(check_position.after, 60)),
      hint = 'Pass what the previous page returned as next, or nothing to begin.';
  end if;
end
$$;
comment on function publish.check_position(text, text) is
  'Raises PT400 when "after" cannot be a key of the kind.';
revoke all on function publish.check_position(text, text) from public;
