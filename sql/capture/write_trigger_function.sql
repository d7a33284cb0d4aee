create or replace function publish.write_trigger_function(capture publish.capture) returns void
language plpgsql
as $$
declare
  v_name text := format('publish_gate.capture_%s', write_trigger_function.capture.capture_id);
begin
  execute format(
    'create or replace function %s() returns trigger language plpgsql security definer%s as %L',
    v_name, publish.capture_settings(write_trigger_function.capture),
    publish.capture_body(write_trigger_function.capture));
  execute format('comment on function %s() is %L', v_name,
                 format('Marks keys of kind %s. Made by publish_capture of %s.',
                        write_trigger_function.capture.kind,
                        write_trigger_function.capture.source));
  -- The owner of a captured table creates and attaches partitions, which takes EXECUTE on its
  -- triggers' functions; no right is needed to fire them. It is safe to grant that to PUBLIC: to
  -- name them takes USAGE on publish_gate, which PUBLIC does not have.
  execute format('grant execute on function %s() to public', v_name);
  execute format('alter function %s() owner to %I', v_name,
                 publish.capture_role(write_trigger_function.capture));
end
$$;
comment on function publish.write_trigger_function(publish.capture) is
  'Makes or replaces the trigger function of a capture.';
revoke all on function publish.write_trigger_function(publish.capture) from public;
