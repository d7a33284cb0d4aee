-- The triggers depend on the trigger function and go with it, no matter who owns their table. It is
-- dropped first: from then on nobody writes to the table, so no trigger misses the others.
create or replace function publish.drop_captures(kind text, source text, relation regclass)
returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
set client_min_messages = warning
as $$
declare
  v_kind publish.kind := publish.check_kind(drop_captures.kind);
  v_id int;
  v_part text;
  v_count int := 0;
begin
  for v_id in
    select c.capture_id
      from publish.capture c
     where c.kind = v_kind.kind
       and (drop_captures.source is null
            or publish.captured_table(c.capture_id) = drop_captures.relation
            or drop_captures.relation is null
               and (c.source = drop_captures.source
                    or right(c.source, length(drop_captures.source) + 1)
                       = '.' || drop_captures.source))
  loop
    foreach v_part in array array['', '_lookup', '_unchanged', '_same', '_key'] loop
      perform publish.drop_functions(v_id, v_part);
    end loop;
    delete from publish.capture c where c.capture_id = v_id;
    v_count := v_count + 1;
  end loop;
  if v_count = 0 and drop_captures.source is not null then
    raise exception 'this table is not captured for the kind' using
      errcode = 'PT404',
      detail = format('kind %L, source %L', drop_captures.kind, drop_captures.source),
      hint = publish.near(drop_captures.source,
                          array(select regexp_replace(c.source, '^.*[.]', '') from publish.capture c
                                 where c.kind = v_kind.kind))
             || 'See publish_kinds() for what is.';
  end if;
  return v_count;
exception when lock_not_available then
  raise exception 'the table is in use' using
    errcode = 'PT423',
    detail = format('kind %L, source %L could not be locked within 5 s', drop_captures.kind,
                    drop_captures.source),
    hint = 'See pg_blocking_pids() and pg_stat_activity; try again when that transaction ended.';
end
$$;
comment on function publish.drop_captures(text, text, regclass) is
  'Drops captures for publish_uncapture, which documents it. relation: what source names, if it '
  'is there.';
revoke all on function publish.drop_captures(text, text, regclass) from public;
grant execute on function publish.drop_captures(text, text, regclass) to publish_admin;
