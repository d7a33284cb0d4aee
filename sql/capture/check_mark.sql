create or replace function publish.check_mark(
  kind publish.kind,
  source_id text,
  payload jsonb,
  deleted boolean
) returns void
language plpgsql
stable
as $$
begin
  if coalesce(octet_length(check_mark.source_id), 0) not between 1 and 2000 then
    raise exception 'source_id must be 1 to 2000 bytes' using
      errcode = 'PT400',
      detail = format('kind %L, source_id of %s bytes', (check_mark.kind).kind,
                      coalesce(octet_length(check_mark.source_id)::text, 'null')),
      hint = 'Pass the text of the row''s key.';
  end if;
  if check_mark.deleted is null then
    raise exception 'deleted must be true or false' using
      errcode = 'PT400',
      detail = format('kind %L, source_id %L, deleted null', (check_mark.kind).kind,
                      left(check_mark.source_id, 60)),
      hint = 'Leave it out, or pass true for a tombstone.';
  end if;
  if (check_mark.kind).view is not null
     and (check_mark.payload is not null or check_mark.deleted) then
    raise exception 'a projected kind takes no payload' using
      errcode = 'PT400',
      detail = format('kind %L is projected from %s', (check_mark.kind).kind,
                      (check_mark.kind).view),
      hint = 'Pass kind and source_id only: the view says what is published.';
  end if;
  if (check_mark.kind).view is null
     and (check_mark.payload is null) <> check_mark.deleted then
    raise exception 'a payload kind takes a payload, or deleted, and not both' using
      errcode = 'PT400',
      detail = format('kind %L, source_id %L, payload %s, deleted %s', (check_mark.kind).kind,
                      left(check_mark.source_id, 60),
                      case when check_mark.payload is null then 'null' else 'given' end,
                      check_mark.deleted),
      hint = 'Pass payload => …, or deleted => true.';
  end if;
end
$$;
comment on function publish.check_mark(publish.kind, text, jsonb, boolean) is
  'Refuses a mark that its kind does not take. Errors: PT400.';
revoke all on function publish.check_mark(publish.kind, text, jsonb, boolean) from public;
