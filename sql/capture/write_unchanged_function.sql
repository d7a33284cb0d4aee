-- As the values are stored: 1 and 1.0 are equal, and their text differs. Where the two are the
-- same, the type's own operator is four times as fast.
create or replace function publish.write_unchanged_function(capture publish.capture) returns void
language plpgsql
as $$
declare
  v_source regclass := publish.captured_table((write_unchanged_function.capture).capture_id);
  v_name text := format('publish_gate.capture_%s_unchanged',
                        (write_unchanged_function.capture).capture_id);
  v_primary smallint[] := (select i.indkey::smallint[]
                             from pg_index i
                            where i.indrelid = v_source and i.indisprimary);
  v_same text;
begin
  -- The key's columns and the primary key are watched too: rows that swap them have changed.
  with watched as (
    select a.attnum, a.attname,
           a.atttypid = any ('{bool,int2,int4,int8,oid,uuid,date,time,timestamp,timestamptz}'
                             ::regtype[])
           or a.atttypid = any ('{text,varchar}'::regtype[]) and l.collisdeterministic as is_exact
      from pg_attribute a
      left join pg_collation l on l.oid = a.attcollation
     where a.attrelid = v_source and a.attnum > 0 and not a.attisdropped
       and (a.attname = any ((write_unchanged_function.capture).columns)
            or a.attnum = any (v_primary)
            or a.attname in (select w.name
                               from publish.watched_columns(
                                 (write_unchanged_function.capture).capture_id) as w (name)))
  )
  select concat_ws(' and ',
    -- What a join hashes by.
    (select string_agg(format('($1).%1$I %2$s ($2).%1$I', a.attname,
                              publish.key_operator(type => a.atttypid, strategy => 3)), ' and ')
       from pg_attribute a
      where a.attrelid = v_source and a.attnum = any (v_primary)
        and not (write_unchanged_function.capture).by_row),
    (select string_agg(format('($1).%1$I is not distinct from ($2).%1$I', w.attname), ' and '
                       order by w.attnum)
       from watched w
      where w.is_exact and ((write_unchanged_function.capture).by_row
                            or w.attnum <> all (v_primary))),
    (select format('pg_catalog.record_image_eq(row(%s), row(%s))',
                   string_agg(format('($1).%I', w.attname), ', ' order by w.attnum),
                   string_agg(format('($2).%I', w.attname), ', ' order by w.attnum))
       from watched w
      where not w.is_exact
     having count(*) > 0))
    into v_same;
  execute format(
    'create or replace function %1$s(%2$s, %2$s) returns boolean language sql stable'
    ' begin atomic select %3$s; end', v_name, publish.qualified_name(v_source), v_same);
  execute format('grant execute on function %s to publish_projector', v_name);
  execute format('comment on function %s is %L', v_name,
                 format('Whether an update of a row of %s changes what is watched.', v_source));
end
$$;
comment on function publish.write_unchanged_function(publish.capture) is
  'Makes publish_gate.capture_<id>_unchanged(old, new): whether they are the same row, by its '
  'primary key, and alike in all that the capture watches; with row triggers, just the latter.';
revoke all on function publish.write_unchanged_function(publish.capture) from public;
