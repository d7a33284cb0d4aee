create or replace function publish.format_cursor(epoch uuid, base bigint, since bigint) returns text
language sql
immutable
parallel safe
as $$
  select concat_ws('.', '1', coalesce(replace(format_cursor.epoch::text, '-', ''), '0'),
                   format_cursor.base, format_cursor.since)
$$;
comment on function publish.format_cursor(uuid, bigint, bigint) is
  'The cursor that publish.parse_cursor reads: format version, epoch, base, since.';
revoke all on function publish.format_cursor(uuid, bigint, bigint) from public;
