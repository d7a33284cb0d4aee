create or replace function publish_gate.gate_make(path text, statement text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform publish.check_installed('publish_projector'),
          pg_catalog.set_config('search_path', gate_make.path, true);
  execute gate_make.statement;
end
$$;
comment on function publish_gate.gate_make(text, text) is
  'Executes a CREATE as publish_projector, in a search_path. Called by publish.make_in alone.';
revoke all on function publish_gate.gate_make(text, text) from public;
alter function publish_gate.gate_make(text, text) owner to publish_projector;
grant execute on function publish_gate.gate_make(text, text) to publish_owner;
