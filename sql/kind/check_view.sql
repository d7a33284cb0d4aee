create or replace function publish.check_view(
  kind text,
  view regclass,
  view_name text
) returns void
language plpgsql
stable
as $$
declare
  v_unread regclass;
begin
  if check_view.view is not null and not exists (
    select from pg_class c
     where c.oid = check_view.view and c.relkind in ('v', 'm', 'r', 'p', 'f')
       and c.relpersistence <> 't'
  ) then
    raise exception 'this is not a view or table that lasts' using
      errcode = 'PT400',
      detail = format('kind %L, view %s', check_view.kind, check_view.view),
      hint = 'Pass a view, a materialized view or a table that is not temporary.';
  end if;
  -- publish_projector may read it already, for a kind of somebody else.
  if not has_table_privilege(publish.caller(), check_view.view, 'select') then
    raise exception 'a view is published by who may read it' using
      errcode = 'PT400',
      detail = format('kind %L, view %s, user %s', check_view.kind, check_view.view_name,
                      publish.caller()),
      hint = format('As its owner: grant select on %s to %I', check_view.view_name,
                    publish.caller());
  end if;
  v_unread := publish.unread_by(reader => publish.caller(), view => check_view.view);
  if v_unread is not null then
    raise exception 'a view is published by who may read it' using
      errcode = 'PT400',
      detail = format('kind %L, view %s reads %s as who asks, user %s', check_view.kind,
                      check_view.view_name, v_unread, publish.caller()),
      hint = format('As its owner: grant select on %s to %I', v_unread, publish.caller());
  end if;
end
$$;
comment on function publish.check_view(text, regclass, text) is
  'Errors: PT400 this is no view or table that lasts, or its caller may not read it all.';
revoke all on function publish.check_view(text, regclass, text) from public;
