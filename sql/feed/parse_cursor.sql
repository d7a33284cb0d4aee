create or replace function publish.parse_cursor(
  cursor text,
  out epoch uuid,
  out base bigint,
  out since bigint,
  out rights text
)
language plpgsql
immutable
parallel safe
as $$
declare
  v_part text[];
begin
  if parse_cursor.cursor is null then
    parse_cursor.since := 0;
    return;
  end if;
  if parse_cursor.cursor ~ '^[0-9]{1,18}$' then
    parse_cursor.since := parse_cursor.cursor::bigint;
    return;
  end if;
  v_part := regexp_match(parse_cursor.cursor,
    '^1[.](0|[0-9a-f]{32})[.]([0-9]{1,18})[.]([0-9]{1,18})(?:[.]([0-9a-f]{8}))?$');
  if v_part is null then
    raise exception 'this is not a cursor of publish_page' using
      errcode = 'PT400',
      detail = format('cursor %L', left(parse_cursor.cursor, 100)),
      hint = 'Pass the cursor of the previous page unchanged, or null to begin.';
  end if;
  parse_cursor.epoch := nullif(v_part[1], '0')::uuid;
  parse_cursor.base := v_part[2]::bigint;
  parse_cursor.since := v_part[3]::bigint;
  parse_cursor.rights := v_part[4];
end
$$;
comment on function publish.parse_cursor(text) is
  'Parts of a publish_page cursor; null is the beginning, a plain rev is a cursor without epoch, '
  'base and rights. Errors: PT400 not a cursor.';
revoke all on function publish.parse_cursor(text) from public;
