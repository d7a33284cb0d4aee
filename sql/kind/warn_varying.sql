create or replace function publish.warn_varying(view regclass) returns void
language plpgsql
as $$
declare
  v_found record;
begin
  for v_found in
    select v.problem, v.hint from publish.varying(warn_varying.view) v
    union all
    select m.problem, m.hint from publish.mixing(warn_varying.view) m
  loop
    raise warning 'the feed will not always follow the view: %', v_found.problem using
      detail = format('view %s', warn_varying.view),
      hint = v_found.hint;
  end loop;
end
$$;
comment on function publish.warn_varying(regclass) is
  'Warns of what publish.varying and publish.mixing find in a view.';
revoke all on function publish.warn_varying(regclass) from public;
