create or replace function publish.check_kind(kind text, or_former boolean default false)
returns publish.kind
language plpgsql
stable
as $$
declare
  v_kind publish.kind;
begin
  select k.* into v_kind from publish.kind k where k.kind = check_kind.kind;
  if not found and check_kind.or_former then
    select k.* into v_kind
      from publish.kind k
     where k.kind = publish.present_name(check_kind.kind, clock_timestamp());
  end if;
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
comment on function publish.check_kind(text, boolean) is
  'The kind''s definition; or_former: also by a name that it had. Errors: PT404 not defined.';
revoke all on function publish.check_kind(text, boolean) from public;
