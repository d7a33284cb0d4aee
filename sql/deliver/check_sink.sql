create or replace function publish.check_sink(sink text, options jsonb) returns void
language plpgsql
stable
as $$
declare
  v_known jsonb := publish.sink_options(check_sink.sink);
  v_option text;
begin
  if v_known is null then
    raise exception 'the sink is not known' using
      errcode = 'PT404',
      detail = format('sink %L', check_sink.sink),
      hint = 'Use stdout, webhook, redis, nats, rabbitmq, kafka or sqs, or register yours with '
             'publish_register_sink.';
  end if;
  if jsonb_typeof(check_sink.options) is distinct from 'object' then
    raise exception 'options must be a JSON object' using
      errcode = 'PT400',
      detail = format('sink %L, options are of type %s', check_sink.sink,
                      coalesce(jsonb_typeof(check_sink.options), 'null')),
      hint = format('The sink knows: %s', v_known);
  end if;
  select string_agg(format('%L', o.name), ', ' order by o.name) into v_option
    from jsonb_object_keys(check_sink.options) as o (name)
   where not v_known ? o.name;
  if v_option is not null then
    raise exception 'the sink does not know this option' using
      errcode = 'PT400',
      detail = format('sink %L, unknown %s', check_sink.sink, v_option),
      hint = format('The sink knows: %s', v_known);
  end if;
  select string_agg(format('%L', o.key), ', ' order by o.key) into v_option
    from jsonb_each_text(v_known) as o
   where o.value like '% required' and not check_sink.options ? o.key;
  if v_option is not null then
    raise exception 'the sink needs this option' using
      errcode = 'PT400',
      detail = format('sink %L, missing %s', check_sink.sink, v_option),
      hint = format('The sink knows: %s', v_known);
  end if;
  select string_agg(format('%L', o.key), ', ' order by o.key) into v_option
    from jsonb_each(check_sink.options) as o
   where jsonb_typeof(o.value) <> split_part(v_known ->> o.key, ' ', 1)
     and not (jsonb_typeof(o.value) = 'string' and o.value #>> '{}' like 'env:%');
  if v_option is not null then
    raise exception 'the option is of another type' using
      errcode = 'PT400',
      detail = format('sink %L, option %s', check_sink.sink, v_option),
      hint = format('The sink knows: %s', v_known);
  end if;
  select string_agg(format('%L', o.key), ', ' order by o.key) into v_option
    from jsonb_each(check_sink.options) as o
   where o.key in ('timeout', 'concurrency') and o.value <= '0' and jsonb_typeof(o.value) = 'number';
  if v_option is not null then
    raise exception 'the option must be above 0' using
      errcode = 'PT400',
      detail = format('sink %L, option %s', check_sink.sink, v_option),
      hint = 'Leave it out for the default.';
  end if;
  if check_sink.options ->> 'source' like 'env:%' then
    raise exception 'the source is written by the database, which knows no environment' using
      errcode = 'PT400',
      detail = 'Option source.',
      hint = 'Write the source itself: every event shows it.';
  end if;
end
$$;
comment on function publish.check_sink(text, jsonb) is
  'Raises PT404 for an unknown sink, PT400 for options it does not know, lacks or cannot read.';
revoke all on function publish.check_sink(text, jsonb) from public;
