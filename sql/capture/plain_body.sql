-- One key, the usual case, takes two small queries; a few take one more. An array of all that a
-- statement touched would have no bounds: many are read as they are written. v is a record, not two
-- arrays, as assigning an array to a variable takes it apart.
-- It runs with the search_path of who writes, so all is qualified, operators too.
create or replace function publish.plain_body(capture publish.capture) returns text
language sql
immutable
as $$
  select format($code$
declare
  v record;
begin
  if tg_op operator(pg_catalog.=) 'UPDATE'
     and %2$s then%4$s%5$s
  elsif (tg_op operator(pg_catalog.=) 'INSERT' or tg_op operator(pg_catalog.=) 'DELETE')
     and %3$s then%6$s
  else
    perform publish.mark_all(
      kind => %1$L, source => tg_relid,
      problem => case when tg_op operator(pg_catalog.<>) 'TRUNCATE'
                      then 'what it is made of was dropped' end);
    return null;
  end if;

  if pg_catalog.cardinality(v.keys) operator(pg_catalog.=) 1
     and (v.keys operator(pg_catalog.=) v.old_keys or v.old_keys operator(pg_catalog.=) '{}')
     and v.keys[1] is not null then
    insert into publish.outbox (kind, source_ids, lookup_id, headers)
    values (%1$L, v.keys, %7$s, publish.headers());%8$s
  elsif v.keys operator(pg_catalog.<>) '{}' or v.old_keys operator(pg_catalog.<>) '{}' then
    perform publish.append_few(
      kind => %1$L, keys => v.keys operator(pg_catalog.||) v.old_keys, lookup_id => %7$s);
  end if;
  return null;
end
$code$,
    plain_body.capture.kind,
    publish.parts_there(capture => plain_body.capture, op => 'UPDATE'),
    publish.parts_there(capture => plain_body.capture, op => 'INSERT'),
    case when plain_body.capture.by_row and plain_body.capture.columns is not null
         then format($code$
    if %s then
      return null;
    end if;$code$, publish.skip_unchanged(plain_body.capture)) end,
    publish.first_keys(capture => plain_body.capture, op => 'UPDATE'),
    publish.first_keys(capture => plain_body.capture, op => 'INSERT'),
    coalesce(publish.lookup_id_of(plain_body.capture)::text, 'null'),
    case when not plain_body.capture.by_row then format($code$
  elsif pg_catalog.cardinality(v.keys) operator(pg_catalog.=) v.most
        or pg_catalog.cardinality(v.old_keys) operator(pg_catalog.=) v.most then
    if tg_op operator(pg_catalog.=) 'UPDATE' then%s
    else%s
    end if;$code$,
      publish.append_all(capture => plain_body.capture, op => 'UPDATE'),
      publish.append_all(capture => plain_body.capture, op => 'INSERT')) end)
$$;
comment on function publish.plain_body(publish.capture) is
  'The body of the trigger function of a capture with a plain key.';
revoke all on function publish.plain_body(publish.capture) from public;
