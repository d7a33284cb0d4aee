create or replace function public.publish_register_sink(sink text, options jsonb) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_option text;
begin
  if coalesce(octet_length(publish_register_sink.sink), 0) not between 1 and 200
     or jsonb_typeof(publish_register_sink.options) is distinct from 'object' then
    raise exception 'a sink has a name and an object of options' using
      errcode = 'PT400',
      detail = format('sink %L', left(publish_register_sink.sink, 60)),
      hint = 'Pass each option with its JSON type: {"url": "string required"}.';
  end if;
  select o.key into v_option
    from jsonb_each(publish_register_sink.options) as o
   where o.value #>> '{}' !~ '^(string|number|boolean|array|object)( required)?$'
   limit 1;
  if found then
    raise exception 'an option has a JSON type, and may be required' using
      errcode = 'PT400',
      detail = format('sink %L, option %L', publish_register_sink.sink, v_option),
      hint = 'Write string, number, boolean, array or object, and "required" after it.';
  end if;
  insert into publish.sink as s (sink, options)
  values (publish_register_sink.sink, publish_register_sink.options)
  on conflict on constraint sink_pkey do update
     set options = excluded.options
   where s.options is distinct from excluded.options;
end
$$;
comment on function public.publish_register_sink(text, jsonb) is
  'Tells the database what options a third party''s sink knows, so that publish_subscribe can '
  'check them; the commands do it for each installed one. Errors: PT400 bad argument.';
revoke all on function public.publish_register_sink(text, jsonb) from public;
grant execute on function public.publish_register_sink(text, jsonb)
  to publish_worker, publish_admin;
