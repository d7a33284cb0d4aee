create or replace function publish.write_trigger_function(capture publish.capture) returns void
language plpgsql
as $$
declare
  v_name text := format('publish.capture_%s', write_trigger_function.capture.capture_id);
begin
  execute format(
    'create or replace function %s() returns trigger language plpgsql security definer'
    ' set search_path = pg_catalog, pg_temp%s as %L', v_name,
    case when write_trigger_function.capture.pinned
         then ' set timezone = ''UTC'' set datestyle = ''ISO, MDY'''
              ' set intervalstyle = ''postgres'' set extra_float_digits = 1'
              ' set bytea_output = ''hex''' else '' end,
    publish.capture_body(write_trigger_function.capture));
  execute format('comment on function %s() is %L', v_name,
                 format('Marks keys of kind %s dirty. Made by publish_capture of %s.',
                        write_trigger_function.capture.kind,
                        write_trigger_function.capture.source));
  -- Whoever creates a trigger needs EXECUTE on its function; whoever fires it does not.
  execute format('grant execute on function %s() to publish_admin', v_name);
end
$$;
comment on function publish.write_trigger_function(publish.capture) is
  'Makes the trigger function of a capture anew.';
revoke all on function publish.write_trigger_function(publish.capture) from public;
