create or replace function publish.parts_there(capture publish.capture, op text) returns text
language sql
immutable
as $$
  select string_agg(
           format('pg_catalog.to_regproc(''publish_gate.capture_%s_%s'') is not null',
                  parts_there.capture.capture_id, f.part),
           E'\n     and ' order by f.n)
    from unnest(array['key']
                || case when parts_there.op = 'UPDATE' and parts_there.capture.columns is not null
                        then array['unchanged'] end
                || case when parts_there.op = 'UPDATE' and parts_there.capture.columns is not null
                             and not parts_there.capture.by_row then array['same'] end)
           with ordinality as f (part, n)
$$;
comment on function publish.parts_there(publish.capture, text) is
  'Condition, as SQL, that the functions are there which a capture''s trigger function calls. '
  'op: UPDATE or another.';
revoke all on function publish.parts_there(publish.capture, text) from public;
