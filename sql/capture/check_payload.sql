create or replace function publish.check_payload(
  kind publish.kind,
  source_id text,
  payload jsonb
) returns void
language plpgsql
as $$
declare
  v_fault text;
begin
  begin
    v_fault := publish.payload_fault(check_payload.payload);
  exception when program_limit_exceeded or internal_error then
    v_fault := format('the payload cannot be shown as text: %s', sqlerrm);
  end;
  if v_fault is not null then
    raise exception 'the payload cannot be published' using
      errcode = 'PT422',
      detail = format('kind %L, source_id %L: %s', (check_payload.kind).kind,
                      left(check_payload.source_id, 60), v_fault),
      hint = 'Publish a reference to what is so large.';
  end if;
  if (check_payload.kind).validator is not null and check_payload.payload is not null
     and exists (
       select from publish.read_texts(
         query => format('select ''refused'' where not coalesce(%s($1[1]::jsonb), true) limit $2',
                         (check_payload.kind).validator),
         ids => array[check_payload.payload::text], most => 1))
  then
    raise exception 'the validator refused the payload' using
      errcode = 'PT422',
      detail = format('kind %L, source_id %L, validator %s', (check_payload.kind).kind,
                      left(check_payload.source_id, 60), (check_payload.kind).validator),
      hint = 'Correct the payload.';
  end if;
end
$$;
comment on function publish.check_payload(publish.kind, text, jsonb) is
  'Refuses a payload that is too large, nested too deep, or not as the kind''s validator wants it. '
  'Errors: PT422, or the validator''s own.';
revoke all on function publish.check_payload(publish.kind, text, jsonb) from public;
