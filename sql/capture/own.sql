create or replace function publish.own(function text) returns void
language plpgsql
as $$
begin
  execute format('alter function %s owner to publish_owner', own.function);
  execute format('revoke all on function %s from public, publish_projector', own.function);
  execute format('grant execute on function %s to publish_projector', own.function);
end
$$;
comment on function publish.own(text) is
  'Makes a function that publish_projector made one of publish_owner''s, which publish_projector '
  'may run.';
revoke all on function publish.own(text) from public;
