create or replace function publish.warn_names() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found record;
begin
  for v_found in
    select a.object, a.problem, a.hint from publish.audit_names() a
    union all
    select s.object, s.problem, s.hint from publish.audit_storage() s where s.fix is null
  loop
    raise warning '%: %', v_found.object, v_found.problem using
      hint = v_found.hint;
  end loop;
end
$$;
comment on function publish.warn_names() is
  'Warns of what publish.audit_names finds, and of triggers and rules on our tables. `pgpublish '
  'migrate` calls it, with --check too.';
revoke all on function publish.warn_names() from public;
