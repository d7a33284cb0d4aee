create or replace function publish.parts_there(capture publish.capture) returns text
language sql
immutable
as $$
  select string_agg(
           format('pg_catalog.to_regproc(''publish_gate.capture_%s_%s'') is not null',
                  parts_there.capture.capture_id, f.part),
           E'\n     and ' order by f.n)
    from unnest(array['key'] || case when parts_there.capture.columns is not null
                                     then array['unchanged'] end) with ordinality as f (part, n)
$$;
comment on function publish.parts_there(publish.capture) is
  'Condition, as SQL: the functions that a capture''s trigger function calls are there.';
revoke all on function publish.parts_there(publish.capture) from public;
