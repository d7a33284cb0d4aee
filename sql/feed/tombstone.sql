create or replace function publish.tombstone(departed publish.departed) returns publish.published
language sql
immutable
as $$
  select jsonb_populate_record(
           null::publish.published,
           to_jsonb(tombstone.departed)
           || jsonb_build_object('deleted', true,
                                 'updated_at', (tombstone.departed).departed_at))
$$;
comment on function publish.tombstone(publish.departed) is
  'What readers of the scope see that a key left.';
revoke all on function publish.tombstone(publish.departed) from public;
