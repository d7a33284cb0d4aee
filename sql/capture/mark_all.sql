create or replace function publish.mark_all(kind text, source regclass, problem text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if mark_all.problem is null then
    perform publish.request_walk(mark_all.kind, format('TRUNCATE of %s', mark_all.source));
    return;
  end if;
  perform publish.request_walk(
    mark_all.kind,
    format('the key of %s failed: %s', mark_all.source, left(mark_all.problem, 500)));
  raise warning 'the key of a captured table failed, and the drain will walk the whole kind' using
    detail = format('kind %L, table %s: %s', mark_all.kind, mark_all.source,
                    left(mark_all.problem, 500)),
    hint = 'Capture the table again, with a key that can be computed for every row.';
end
$$;
comment on function publish.mark_all(text, regclass, text) is
  'Asks for a walk over the kind from the trigger of a table: after TRUNCATE (problem null), or, '
  'with a warning, because keys could not be told.';
revoke all on function publish.mark_all(text, regclass, text) from public;
grant execute on function publish.mark_all(text, regclass, text) to publish_projector;
