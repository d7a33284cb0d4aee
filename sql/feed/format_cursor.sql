create or replace function publish.format_cursor(
  epoch uuid,
  base bigint,
  since bigint,
  rights text
) returns text
language sql
immutable
parallel safe
as $$
  select concat_ws('.', '1', coalesce(replace(format_cursor.epoch::text, '-', ''), '0'),
                   format_cursor.base, format_cursor.since, format_cursor.rights)
$$;
comment on function publish.format_cursor(uuid, bigint, bigint, text) is
  'The cursor that publish.parse_cursor reads: format version, epoch, base, since, rights.';
revoke all on function publish.format_cursor(uuid, bigint, bigint, text) from public;
