-- The key's columns and the primary key are watched too: rows that swap them have changed.
create or replace function publish.write_pair_functions(capture publish.capture) returns void
language plpgsql
as $$
declare
  v_source regclass := publish.captured_table((write_pair_functions.capture).capture_id);
  v_row text := publish.qualified_name(v_source);
  v_name text := format('publish_gate.capture_%s',
                        (write_pair_functions.capture).capture_id);
  v_key name[] := array(
    select w.name
      from publish.watched_columns((write_pair_functions.capture).capture_id) as w (name));
  v_primary name[] := array(
    select a.attname
      from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
     where i.indrelid = v_source and i.indisprimary);
  v_paired text := (
    select string_agg(format('($1).%1$I %2$s ($2).%1$I', a.attname,
                             publish.key_operator(type => a.atttypid, strategy => 3)), ' and ')
      from pg_attribute a
     where a.attrelid = v_source and a.attname = any (v_primary)
       and not (write_pair_functions.capture).by_row);
begin
  execute format(
    'create or replace function %1$s_unchanged(%2$s, %2$s) returns boolean language sql stable'
    ' begin atomic select %3$s; end', v_name, v_row,
    concat_ws(' and ', v_paired, publish.alike_sql(
      source => v_source,
      columns => v_key || v_primary || (write_pair_functions.capture).columns::name[])));
  execute format('grant execute on function %s_unchanged to publish_projector', v_name);
  execute format('comment on function %s_unchanged is %L', v_name,
                 format('Whether an update of a row of %s changes nothing that is watched.',
                        v_source));
  if v_paired is null then
    return;
  end if;
  execute format(
    'create or replace function %1$s_same(%2$s, %2$s) returns boolean language sql stable'
    ' begin atomic select %3$s; end', v_name, v_row,
    concat_ws(' and ', v_paired, nullif(publish.alike_sql(source => v_source,
                                                          columns => v_key), '')));
  execute format('grant execute on function %s_same to publish_projector', v_name);
  execute format('comment on function %s_same is %L', v_name,
                 format('Whether an update of a row of %s leaves its keys as they were.',
                        v_source));
end
$$;
comment on function publish.write_pair_functions(publish.capture) is
  'Makes publish_gate.capture_<id>_unchanged(old, new): whether they are one row, by its primary '
  'key, and alike in all that the capture watches; with row triggers, just the latter. And, for '
  'statement triggers, _same(old, new): whether they are one row and have the same keys.';
revoke all on function publish.write_pair_functions(publish.capture) from public;
