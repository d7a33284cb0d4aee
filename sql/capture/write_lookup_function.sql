create or replace function publish.write_lookup_function(capture_id int, type regtype, path text)
returns void
language plpgsql
as $$
declare
  v_capture publish.capture;
  v_keys int;
  v_name text := format('publish_gate.capture_%s_lookup', write_lookup_function.capture_id);
begin
  select c.* into v_capture
    from publish.capture c
   where c.capture_id = write_lookup_function.capture_id;
  v_keys := (select cardinality(k.key) from publish.kind k where k.kind = v_capture.kind);
  perform publish.make_in(
    path => write_lookup_function.path, name => split_part(v_name, '.', 2)::name,
    statement => format(
    'create or replace function %s(%s[]) returns setof text language sql stable'
    ' begin atomic select publish.row_key(array[%s]) from (%s) as x (%s); end',
    v_name, write_lookup_function.type,
    (select string_agg(format('x.c%s::pg_catalog.text', n), ', ') -- as publish.source_id_sql
       from generate_series(1, v_keys) as n),
    v_capture.lookup,
    (select string_agg(format('c%s', n), ', ') from generate_series(1, v_keys) as n)));
  perform publish.own(v_name);
  execute format('comment on function %s is %L', v_name,
                 format('The lookup of %s for kind %s.', v_capture.source, v_capture.kind));
exception
  when operator_intervention or transaction_rollback or insufficient_resources
       or lock_not_available then
    raise;
  when others then
    raise exception 'the lookup is not valid SQL here' using
      errcode = 'PT400',
      detail = format('%s: %s', v_capture.lookup, sqlerrm),
      hint = case
        when sqlstate = '42501'
        then 'Grant the right: grant usage on schema … to publish_owner, publish_projector'
        else format('Write a query from $1, of type %s[], to the key of kind %s.',
                    format_type(write_lookup_function.type, -1), v_capture.kind) end;
end
$$;
comment on function publish.write_lookup_function(int, regtype, text) is
  'Makes publish_gate.capture_<id>_lookup, from an array of the key''s type to keys of the kind. '
  'The drain runs it as publish_projector. Errors: PT400 the lookup is not valid.';
revoke all on function publish.write_lookup_function(int, regtype, text) from public;
