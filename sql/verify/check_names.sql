-- For SQL that was shown to a person, and therefore does not say the type of each argument.
create or replace function publish.check_names() returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found record;
begin
  select a.object, a.problem, a.hint into v_found
    from publish.audit_names() a
   where not starts_with(a.object, 'schema ')
   order by a.object
   limit 1;
  if found then
    raise exception 'a function of somebody else may be called in place of one of pgpublish' using
      errcode = 'PT400',
      detail = format('%s: %s.', v_found.object, v_found.problem),
      hint = v_found.hint;
  end if;
end
$$;
comment on function publish.check_names() is
  'Refuses to go on while functions of others have names of pgpublish. Errors: PT400 one has.';
revoke all on function publish.check_names() from public;
grant execute on function publish.check_names() to publish_admin;
