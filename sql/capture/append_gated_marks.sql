-- Foreign SQL could call it too, in the gate: there the transaction is read-only.
create or replace function publish.append_gated_marks(
  kind text,
  source_ids text[],
  lookup_id int
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(append_gated_marks.source_ids) <= 32 then
    perform publish.append_few(
      kind => append_gated_marks.kind, lookup_id => append_gated_marks.lookup_id,
      keys => append_gated_marks.source_ids);
    return;
  end if;
  perform publish.append_marks(
    kind => append_gated_marks.kind, keys => append_gated_marks.source_ids,
    lookup_id => append_gated_marks.lookup_id, headers => publish.headers());
end
$$;
comment on function publish.append_gated_marks(text, text[], int) is
  'Appends marks that a trigger function of publish_projector collected.';
revoke all on function publish.append_gated_marks(text, text[], int) from public;
grant execute on function publish.append_gated_marks(text, text[], int) to publish_projector;
