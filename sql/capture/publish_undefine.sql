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
  v_dropped := publish.drop_captures(kind => v_kind.kind, source => null, relation => null);
  perform publish.define(
    kind => v_kind.kind, view => 'publish.nothing', key => '{id}',
    schema_version => v_kind.schema_version, validator => null, retention => v_kind.retention);
  return v_dropped;
end
$$;
comment on function public.publish_undefine(text) is
  'Ends the publishing of a kind: removes its captures and has the drain walk it, which makes each '
  'of its keys a tombstone. Readers and subscriptions get a deletion for each, and then nothing '
  'more. The kind stays listed, over the view publish.nothing; publish_define with its view, or '
  'without one for a payload kind, brings it back, with the same pub_ids. Until then '
  'publish_enqueue takes no payload for it, and payloads that wait are not published. Returns how '
  'many tables were captured. Errors: PT404 kind not defined; PT423 a captured table is in use.';
revoke all on function public.publish_undefine(text) from public;
grant execute on function public.publish_undefine(text) to publish_admin;
