create or replace function public.publish_uncapture(kind text, source text default null)
returns int
language plpgsql
as $$
declare
  v_relation regclass;
begin
  begin
    v_relation := pg_catalog.to_regclass(publish_uncapture.source);
  exception when syntax_error or invalid_name or feature_not_supported then
    null; -- no table has such a name, which is said below
  end;
  return publish.drop_captures(kind => publish_uncapture.kind, source => publish_uncapture.source,
                               relation => v_relation);
end
$$;
comment on function public.publish_uncapture(text, text) is
  'Removes the triggers that mark keys of the kind from a table, or from all; returns from how '
  'many. What is published stays. source: as publish_capture got it, also of a table that is gone. '
  'Errors: PT404 kind not defined, or the table is not captured for it.';
revoke all on function public.publish_uncapture(text, text) from public;
grant execute on function public.publish_uncapture(text, text) to publish_admin;
