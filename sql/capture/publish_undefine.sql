-- The kind stays, over an empty view: a walk finds each published key gone, page by page, so that
-- readers get a deletion for each. Without the kind, nobody would tell them.
create or replace function public.publish_undefine(kind text) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind publish.kind := publish.check_kind(publish_undefine.kind);
  v_dropped int;
begin
  if v_kind.view is null then
    perform publish.key_columns(v_kind.kind); -- says so
  end if;
  v_dropped := publish.drop_captures(kind => v_kind.kind, source => null, relation => null);
  perform publish.define(
    kind => v_kind.kind, view => 'publish.nothing', key => '{id}',
    schema_version => v_kind.schema_version, validator => null, retention => v_kind.retention);
  return v_dropped;
end
$$;
comment on function public.publish_undefine(text) is
  'Ends the publishing of a projected kind: removes its captures and has the drain walk it, which '
  'makes each of its keys a tombstone. The kind stays listed, over the view publish.nothing; '
  'publish_define with its view brings it back, with the same pub_ids. Returns how many tables '
  'were captured. Errors: PT404 kind not defined, or a payload kind; PT423 a captured table is in '
  'use.';
revoke all on function public.publish_undefine(text) from public;
grant execute on function public.publish_undefine(text) to publish_admin;
