create or replace function publish.merge_options(old jsonb, new jsonb) returns jsonb
language sql
immutable
as $$
  select case
    when jsonb_typeof(coalesce(merge_options.new, '{}')) = 'object' then (
      select coalesce(jsonb_object_agg(o.key, o.value), '{}')
        from jsonb_each(coalesce(merge_options.old, '{}')
                        || coalesce(merge_options.new, '{}')) as o
       where o.value <> 'null')
    else merge_options.new end
$$;
comment on function publish.merge_options(jsonb, jsonb) is
  'Options as they were, with new ones by name; null removes one.';
revoke all on function publish.merge_options(jsonb, jsonb) from public;
