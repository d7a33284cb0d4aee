create or replace function publish.check_kind(kind text) returns publish.kind
language plpgsql
stable
as $$
declare
  v_kind publish.kind;
begin
  select k.* into v_kind from publish.kind k where k.kind = check_kind.kind;
  if not found then
    raise exception 'kind is not defined' using
      errcode = 'PT404',
      detail = format('kind %L', check_kind.kind),
      hint = publish.near(check_kind.kind, array(select k.kind from publish.kind k))
             || 'Call publish_define first.';
  end if;
  return v_kind;
end
$$;
comment on function publish.check_kind(text) is
  'The kind''s definition. Errors: PT404 not defined.';
revoke all on function publish.check_kind(text) from public;
