create or replace function publish.projection_fault(
  kind publish.kind,
  out sqlstate text,
  out message text
)
language plpgsql
stable
as $$
begin
  perform publish.projection_sql(projection_fault.kind);
  projection_fault.sqlstate := '55000';
  projection_fault.message := 'the projection of this kind could not be made';
exception when others then
  get stacked diagnostics projection_fault.sqlstate = returned_sqlstate,
                          projection_fault.message = message_text;
end
$$;
comment on function publish.projection_fault(publish.kind) is
  'Why the kind has no projection: the view or a key column is gone.';
revoke all on function publish.projection_fault(publish.kind) from public;
